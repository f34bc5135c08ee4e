"""A git host with HTTPS on this machine, reached by a public name through a proxy, for `pulumi package add`.

Pulumi accepts a plugin's source only by https and from port 443. The proxy maps that to a port on the loopback.
"""

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

HOST = "git.example.com"
IDENTITY = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, without the settings of user and system; return its output."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", *IDENTITY, "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def served(repositories: Path) -> Iterator[Mapping[str, str]]:
    """Serve the repositories below a folder as https://git.example.com/…; yield the environment that leads to it."""
    authority = trustme.CA()
    certificate = repositories / "ca.pem"
    authority.cert_pem.write_to_path(str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)

    class Handler(_Handler):
        root = repositories
        tls = context

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield {"HTTPS_PROXY": f"http://127.0.0.1:{server.server_port}", "SSL_CERT_FILE": str(certificate)}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """A proxy for one host and, after its CONNECT, that host itself: git's smart HTTP back end, read only."""

    protocol_version = "HTTP/1.1"
    root: Path
    tls: ssl.SSLContext

    def do_CONNECT(self) -> None:
        if self.path != f"{HOST}:443":
            self.send_error(403, f"there is only {HOST}")
            return
        self.send_response(200)
        self.end_headers()
        self.request = self.tls.wrap_socket(self.connection, server_side=True)
        self.setup()
        self.close_connection = False

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def finish(self) -> None:
        """Close the TLS connection that CONNECT has put in place of the server's own."""
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's
        """Print nothing."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH": os.environ["PATH"],
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
