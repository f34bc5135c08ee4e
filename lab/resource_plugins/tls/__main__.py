"""`python -m lab.resource_plugins.tls ENGINE_ADDRESS` serves package `tls`."""

from lab.resource_plugins.base import Provider, serve
from lab.resource_plugins.tls.private_key import GET_PUBLIC_KEY, PRIVATE_KEY

if __name__ == "__main__":
    serve(Provider("tls", [PRIVATE_KEY], [GET_PUBLIC_KEY], texts=("version",)))
