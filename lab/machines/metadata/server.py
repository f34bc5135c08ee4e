"""The HTTP server of the metadata service: one for each VPC, at 169.254.169.254 port 80 in the VPC's namespace.

Only version 2 (IMDSv2) is served.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

import logging
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from lab.machines.metadata.answers import Answers
from lab.machines.metadata.tokens import Tokens, lifetime
from lab.machines.metadata.tree import Subject

ADDRESS = "169.254.169.254"
PORT = 80

_POLL_SECONDS = 0.05
"""How often a server checks whether it shall end."""

_TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - the name of a header
_LIFETIME = "X-aws-ec2-metadata-token-ttl-seconds"
_log = logging.getLogger("lab.metadata")

FindSubject = Callable[[str], Subject | None]
"""Source address of a request -> the instance that sent it."""


class MetadataServer(ThreadingHTTPServer):
    """Serves one VPC on a socket that already listens. `close` ends it."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, find: FindSubject, tokens: Tokens, answers: Answers) -> None:
        self.find, self.tokens, self.answers = find, tokens, answers
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        # HTTPServer would look up its name in the DNS when it binds, which can take long.
        self.server_name, self.server_port = listener.getsockname()
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name="metadata", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Log the failure of a request."""
        _log.exception("a request from %s failed", client_address)


class _Handler(BaseHTTPRequestHandler):
    server: MetadataServer
    server_version = "EC2ws"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_PUT(self) -> None:
        subject = self._subject()
        if subject is None:
            return self._send(HTTPStatus.NOT_FOUND)
        if urlsplit(self.path).path.rstrip("/") != "/latest/api/token":
            return self._send(HTTPStatus.METHOD_NOT_ALLOWED)
        # No token is issued through a proxy, which an attacker may have misled.
        if "X-Forwarded-For" in self.headers:
            return self._send(HTTPStatus.FORBIDDEN)
        seconds = lifetime(self.headers.get(_LIFETIME))
        if seconds is None:
            return self._send(HTTPStatus.BAD_REQUEST)
        token = self.server.tokens.issue(subject.instance.id, seconds)
        return self._send(HTTPStatus.OK, token.encode(), {_LIFETIME: str(seconds)})

    def do_GET(self) -> None:
        subject = self._subject()
        if subject is None:
            return self._send(HTTPStatus.NOT_FOUND)
        seconds_left = self.server.tokens.seconds_left(subject.instance.id, self.headers.get(_TOKEN) or "")
        if seconds_left <= 0:
            return self._send(HTTPStatus.UNAUTHORIZED)
        try:
            body = self.server.answers.get(subject, urlsplit(self.path).path)
        except Exception:
            # AWS answers this while there are no credentials; clients retry.
            _log.exception("%s: no answer to %s", subject.instance.id, self.path)
            return self._send(HTTPStatus.SERVICE_UNAVAILABLE)
        if body is None:
            return self._send(HTTPStatus.NOT_FOUND)
        return self._send(HTTPStatus.OK, body, {_LIFETIME: str(seconds_left)})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _subject(self) -> Subject | None:
        return self.server.find(self.client_address[0])

    def _send(self, status: HTTPStatus, body: bytes | None = None, headers: dict[str, str] | None = None) -> None:
        content = f"{status.value} - {status.phrase}\n".encode() if body is None else body
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        _log.debug("%s %s", self.client_address[0], format % args)
