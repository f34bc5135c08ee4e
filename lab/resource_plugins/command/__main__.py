"""`python -m lab.resource_plugins.command ENGINE_ADDRESS` serves package `command`."""

from lab.resource_plugins.base import Provider, serve
from lab.resource_plugins.command import local, remote

if __name__ == "__main__":
    serve(Provider("command", [remote.COMMAND, local.COMMAND], texts=("version",)))
