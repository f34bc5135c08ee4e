"""Serves the plugin: `python -m lab.plugins.random ENGINE_ADDRESS`."""

from lab.plugins.provider import Provider, serve
from lab.plugins.random import binary, names, text

if __name__ == "__main__":
    serve(Provider("random", [binary.BYTES, binary.ID, text.PASSWORD, text.STRING, names.PET], texts=("version",)))
