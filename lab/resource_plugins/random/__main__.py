"""`python -m lab.resource_plugins.random ENGINE_ADDRESS` serves package `random`."""

from lab.resource_plugins.base import Provider, serve
from lab.resource_plugins.random import binary, text

if __name__ == "__main__":
    serve(Provider("random", [binary.BYTES, binary.ID, text.PASSWORD, text.STRING], texts=("version",)))
