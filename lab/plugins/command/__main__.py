"""Serves the plugin: `python -m lab.plugins.command ENGINE_ADDRESS`."""

from lab.plugins.command import local, remote
from lab.plugins.provider import Provider, serve

if __name__ == "__main__":
    serve(Provider("command", [remote.COMMAND, local.COMMAND], [local.RUN], texts=("version",)))
