"""Serves the plugin: `python -m lab.plugins.tls ENGINE_ADDRESS`."""

from lab.plugins.provider import Provider, serve
from lab.plugins.tls.private_key import GET_PUBLIC_KEY, PRIVATE_KEY

if __name__ == "__main__":
    serve(Provider("tls", [PRIVATE_KEY], [GET_PUBLIC_KEY], texts=("version",)))
