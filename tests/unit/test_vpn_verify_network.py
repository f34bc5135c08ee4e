"""How vpn-verify asks the metadata service."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import metadata
from vpn_verify.machine import date_and_public_address


@contextmanager
def metadata_service(monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[int, str]]) -> Iterator[None]:
    """Serve, by method and path, what there is for who has the token; with a Date header, as EC2 does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, text = answers.get(f"{self.command} {self.path}", (404, "Not Found"))
            if self.command == "GET" and self.headers["X-aws-ec2-metadata-token"] != "TOKEN":
                code = 401
            if self.command == "PUT" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] != "60":
                code = 400
            self.send_response(code)
            self.end_headers()
            self.wfile.write(text.encode())

        do_PUT = do_GET  # noqa: N815 - http.server's name

        def date_time_string(self, timestamp: int | float | None = None) -> str:  # noqa: ARG002 - the same
            return "Mon, 23 Nov 2026 22:38:44 GMT"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(metadata, "METADATA", server.server_address)
    yield
    server.shutdown()
    server.server_close()


TOKEN = {"PUT /latest/api/token": (200, "TOKEN")}
PUBLIC = "GET /latest/meta-data/public-ipv4"


@pytest.mark.parametrize(
    ("answers", "address"),
    [
        ({**TOKEN, PUBLIC: (200, "203.0.113.10")}, "203.0.113.10"),
        (TOKEN, ""),
        ({PUBLIC: (200, "203.0.113.10")}, None),
        ({**TOKEN, PUBLIC: (503, "later")}, None),
    ],
    ids=["there", "no address", "no token", "out of order"],
)
def test_the_metadata_service_tells_the_date_and_the_address_or_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[int, str]], address: str | None
) -> None:
    with metadata_service(monkeypatch, answers):
        assert date_and_public_address() == ("Mon, 23 Nov 2026 22:38:44 GMT", address)


def test_without_a_metadata_service_nothing_is_known_and_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "METADATA", ("127.0.0.1", 1))
    assert date_and_public_address() == ("", None)
