"""The lab's own certificate authority, which guests trust: with it, AWS's host names answer by TLS inside the lab.

It is kept in the cache, like the guest images that trust it. Its key never leaves this machine.
"""

import fcntl
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from lab import settings

_CERTIFICATE = "ca.pem"
_KEY = "ca.key"


def ca_certificate_pem() -> bytes:
    """Return the authority's certificate for a guest's trust store; create the authority if there is none yet."""
    return _authority().cert_pem.bytes()


class ServerContexts:
    """TLS contexts by host name, each created once. Thread-safe."""

    def __init__(self) -> None:
        self._authority = _authority()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def context(self, host_name: str) -> ssl.SSLContext:
        """Return a server's TLS context with a certificate for `host_name`."""
        with self._lock:
            if host_name not in self._contexts:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._authority.issue_cert(host_name).configure_cert(context)
                self._contexts[host_name] = context
            return self._contexts[host_name]


def _authority() -> trustme.CA:
    """Return the authority in the cache; processes that need it at the same time get the same one."""
    directory = settings.CACHE / "ca"
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        certificate, key = directory / _CERTIFICATE, directory / _KEY
        if not (certificate.exists() and key.exists()):
            authority = trustme.CA(
                organization_name="vpn-gateway-pair lab", organization_unit_name="not for any other use"
            )
            _write(key, authority.private_key_pem.bytes(), mode=0o600)
            _write(certificate, authority.cert_pem.bytes(), mode=0o644)
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, content: bytes, *, mode: int) -> None:
    # The file gets its name when it is complete, so that a crash leaves no partial key.
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    unfinished.replace(path)
