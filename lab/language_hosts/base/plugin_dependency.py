"""Which resource plugin a package of an SDK asks the engine for, in every language alike."""

import base64
from collections.abc import Mapping
from typing import Any

from lab.language_hosts.base.protocol import plugin_pb2


def dependency(plugin: Mapping[str, Any], *, name: str, version: str | None) -> Any:
    """Return the PackageDependency of what a package says of its plugin (`pulumi-plugin.json` or the like).

    `name` and `version` are what follows from the package's own, for what it does not say. None for a package that says
    it has no plugin, or whose plugin version cannot be told.
    """
    version = plugin.get("version") or version
    if not plugin.get("resource") or not version:
        return None
    return plugin_pb2.PackageDependency(
        name=plugin.get("name") or name,
        kind="resource",
        version=f"v{version.removeprefix('v')}",
        server=plugin.get("server", ""),
        parameterization=_parameterization(plugin.get("parameterization")),
    )


def _parameterization(parameterization: Mapping[str, str] | None) -> Any:
    if parameterization is None:
        return None
    return plugin_pb2.PackageParameterization(
        name=parameterization["name"],
        version=parameterization["version"],
        value=base64.b64decode(parameterization["value"]),
    )
