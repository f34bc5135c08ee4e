"""Serves the components to any Pulumi language: `pulumi package add <this folder>`."""

import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path

from pulumi.provider.experimental import component_provider_host

PACKAGE = Path(__file__).resolve().parent
NAME = "vpn-gateway-pair"


def version() -> str:
    """Return the version of this package: pyproject.toml's in a checkout, the installed distribution's elsewhere."""
    project = PACKAGE.parent / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return metadata.version(NAME)


if __name__ == "__main__":
    # Run as a folder, Python puts the folder itself on the path, where a package cannot be imported from.
    sys.path[0] = str(PACKAGE.parent)
    package = import_module(PACKAGE.name)
    component_provider_host(name=NAME, components=[package.VpnGateway, package.VpnGatewayPair], version=version())
