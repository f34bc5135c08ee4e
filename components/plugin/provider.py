"""The component plugin: the components, as Pulumi serves them to any language."""

import json
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from pulumi.provider.experimental.component import ComponentProvider

from ..vpn_gateway import VpnGateway
from ..vpn_gateway_pair import VpnGatewayPair
from .schema import described

NAME = "vpn-gateway-pair"
"""Name of the plugin, and first part of the components' types."""

_PACKAGE = Path(__file__).resolve().parents[1]


def version() -> str:
    """Return the version of this package: pyproject.toml's in a checkout, the installed distribution's elsewhere."""
    return _said_of_the_package()["version"]


def provider() -> ComponentProvider:
    """Return the provider that `pulumi.provider.main` serves; `schema` is what it tells of the components, in JSON."""
    said = _said_of_the_package()
    served = ComponentProvider([VpnGateway, VpnGatewayPair], NAME, version=said["version"])
    analyzed: dict[str, Any] = json.loads(served.schema or "")
    schema = described(analyzed, description=said["description"], license_name=said["license"])
    served.schema = json.dumps(schema)
    return served


def _said_of_the_package() -> dict[str, str]:
    project = _PACKAGE.parent / "pyproject.toml"
    if project.is_file():
        said: dict[str, str] = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        return said
    installed = metadata.metadata(NAME)
    return {
        "version": installed["Version"],
        "description": installed["Summary"],
        "license": installed["License-Expression"],
    }
