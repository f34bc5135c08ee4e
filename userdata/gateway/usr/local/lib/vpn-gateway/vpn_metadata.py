"""Asks the instance metadata service by a socket: what urllib imports for it takes a booting machine a second.

Installed beside the programs that import it, as /usr/local/lib/vpn-gateway/vpn_metadata.py.
"""

import socket

METADATA = ("169.254.169.254", 80)
TOKEN = "X-aws-ec2-metadata-token"  # noqa: S105 - a header's name


def ask(path: str, token: str = "", seconds: float = 1) -> tuple[str, str]:
    """Return head and body of an answer, whatever its status; without a token, ask for one (IMDSv2).

    `path` is what stands behind /latest/. Raises OSError when there is no answer within so many seconds.
    """
    verb, header = ("GET", f"{TOKEN}: {token}") if token else ("PUT", f"{TOKEN}-ttl-seconds: 60")
    with socket.create_connection(METADATA, seconds) as link:
        link.sendall(f"{verb} /latest/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\r\n".encode())
        head, _, body = link.makefile("rb").read().decode().partition("\r\n\r\n")
    return head, body
