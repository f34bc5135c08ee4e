"""The servers of the lab's Internet: a public web server and AWS's API endpoints. They run in the data plane."""

import asyncio
import logging
import os
import ssl
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.utils import send_from_directory
from werkzeug.wrappers import Request, Response

from lab import settings
from lab.network.certificates import ServerContexts
from lab.network.sockets import listen

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_log = logging.getLogger("lab.network")

_HTTP_PORT = 80
_TLS_PORT = 443
_CHUNK = 65536
_FRONT_PAGE = "This is a public web server in the lab's Internet.\n"


class InternetServices:
    """The web server (settings.WEB_SERVER:80) and the AWS endpoints (settings.AWS_ENDPOINTS:443)."""

    def __init__(self, api_port: int) -> None:
        self._web = _WebServer()
        self._endpoints = _AwsEndpoints(api_port)

    def start(self) -> None:
        """Listen inside the lab's Internet; return when both accept connections.

        Raises FileNotFoundError when that namespace does not exist (`Network.apply` creates it), OSError when a port
        is taken.
        """
        self._web.start()
        self._endpoints.start()

    def stop(self) -> None:
        """Close both servers. Safe when they were not started."""
        self._endpoints.stop()
        self._web.stop()


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002, ARG002 - the base class's names
        _log.debug("web server: " + message, *args)


class _WebServer:
    """Static files of `settings.CACHE/mirror`, with HEAD, Range and If-Modified-Since, which apt and curl use."""

    def __init__(self) -> None:
        self._server: BaseWSGIServer | None = None

    def start(self) -> None:
        # Werkzeug duplicates the descriptor; it also makes no reverse DNS query for a socket it did not bind.
        with listen(settings.INTERNET_NAMESPACE, settings.WEB_SERVER, _HTTP_PORT) as listener:
            self._server = make_server(
                str(settings.WEB_SERVER),
                _HTTP_PORT,
                _static_files,
                threaded=True,
                request_handler=_QuietHandler,
                fd=listener.fileno(),
            )
        threading.Thread(target=self._server.serve_forever, name="web-server", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _static_files(environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    request = Request(environment)
    response: Response | HTTPException
    try:
        if request.method not in ("GET", "HEAD"):
            response = Response(status=405, headers={"Allow": "GET, HEAD"})
        elif request.path == "/":
            response = Response(_FRONT_PAGE, content_type="text/plain; charset=utf-8")
        else:
            directory = settings.CACHE / "mirror"
            response = send_from_directory(
                os.fspath(directory), request.path.lstrip("/"), environment, conditional=True
            )
    except HTTPException as error:
        response = error
    return response(environment, start_response)


class _AwsEndpoints:
    """A TLS proxy for any `*.amazonaws.com`, which forwards the decrypted bytes to the API in the root namespace.

    The API first gets a line with the client's address (HAProxy's PROXY protocol, version 1).
    """

    def __init__(self, api_port: int) -> None:
        self._api_port = api_port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None

    def start(self) -> None:
        contexts = ServerContexts()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> int | None:
            if name is None or not name.lower().endswith(".amazonaws.com"):
                return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
            connection.context = contexts.context(name.lower())
            return None

        context.sni_callback = choose
        listener = listen(settings.INTERNET_NAMESPACE, settings.AWS_ENDPOINTS, _TLS_PORT)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aws-endpoints", daemon=True)
        self._thread.start()
        serving = asyncio.start_server(self._forward, sock=listener, ssl=context)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()

    def stop(self) -> None:
        if self._loop is None or self._thread is None:
            return
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close)
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = self._server = None

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            api_reader, api_writer = await asyncio.open_connection("127.0.0.1", self._api_port)
        except OSError as error:
            _log.warning("the API on port %d does not answer: %s", self._api_port, error)
            writer.close()
            return
        client, client_port = writer.get_extra_info("peername")
        address, port = writer.get_extra_info("sockname")
        api_writer.write(f"PROXY TCP4 {client} {address} {client_port} {port}\r\n".encode())
        # When one direction ends, both are closed: HTTP needs no half-open connections, and TLS has none.
        directions = {
            asyncio.create_task(_copy(reader, api_writer)),
            asyncio.create_task(_copy(api_reader, writer)),
        }
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            writer.close()
            api_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        # The other end closed the connection. The caller closes both sides.
        return


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
