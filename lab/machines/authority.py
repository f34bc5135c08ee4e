"""The lab's certificate authority, as the guests are to trust it."""

from importlib import import_module

import trustme

from lab import settings


def ca_certificate_pem() -> str:
    """Return the authority's certificate."""
    try:
        found: str = import_module("lab.network.certificates").ca_certificate_pem()
    except ModuleNotFoundError:
        path = settings.CACHE / "interim-ca.pem"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(trustme.CA().cert_pem.bytes())
        found = path.read_text()
    return found
