"""Serves the components to any Pulumi language: `pulumi package add <this folder>`."""

import sys
from importlib import import_module
from pathlib import Path

from pulumi.provider.experimental import component_provider_host

PACKAGE = Path(__file__).resolve().parent

if __name__ == "__main__":
    # Run as a folder, Python puts the folder itself on the path, where a package cannot be imported from.
    sys.path[0] = str(PACKAGE.parent)
    package = import_module(PACKAGE.name)
    component_provider_host(name="vpn-gateway-pair", components=[package.VpnGateway, package.VpnGatewayPair])
