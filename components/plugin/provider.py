"""The component plugin: serves the components to any Pulumi language."""

import json
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from pulumi.provider.experimental.component import ComponentProvider

from ..inputs.arguments import CommonArgs, camel_case
from ..outputs import SiteOutputs
from ..vpn_gateway import VpnGateway
from ..vpn_gateway_pair import VpnGatewayPair
from .schema import described

NAME = "vpn-gateway-pair"
"""Name of the plugin, and first part of the components' types."""

_PACKAGE = Path(__file__).resolve().parents[1]


def version() -> str:
    """Return the version of this package: pyproject.toml's in a checkout, the installed distribution's elsewhere."""
    return _package_metadata()["version"]


def provider() -> ComponentProvider:
    """Return the provider that `pulumi.provider.main` serves. Its `schema` describes the components, in JSON."""
    package = _package_metadata()
    served = ComponentProvider([VpnGateway, VpnGatewayPair], NAME, version=package["version"])
    analyzed: dict[str, Any] = json.loads(served.schema or "")
    schema = described(
        analyzed,
        description=package["description"],
        license_name=package["license"],
        inherited=_inherited_descriptions(served),
    )
    served.schema = json.dumps(schema)
    return served


def _inherited_descriptions(served: ComponentProvider) -> dict[str, str]:
    """Return the descriptions of the properties that classes get from others: the analyzer reads only their own."""
    return {
        camel_case(name): served.analyzer.get_docstring(owner, name) or ""
        for owner in (CommonArgs, SiteOutputs)
        for name in owner.__annotations__
    }


def _package_metadata() -> dict[str, str]:
    project = _PACKAGE.parent / "pyproject.toml"
    if project.is_file():
        package: dict[str, str] = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        return package
    installed = metadata.metadata(NAME)
    return {
        "version": installed["Version"],
        "description": installed["Summary"],
        "license": installed["License-Expression"],
    }
