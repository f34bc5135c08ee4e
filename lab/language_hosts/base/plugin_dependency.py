"""The resource plugin that an SDK's package requires; the same in every language."""

import base64
from collections.abc import Mapping
from typing import Any

from lab.language_hosts.base.protocol import plugin_pb2


def plugin_dependency(plugin: Mapping[str, Any], *, name: str, version: str | None) -> Any:
    """Return the PackageDependency for a package's description of its plugin (the content of `pulumi-plugin.json`).

    `name` and `version` are derived from the package's own, and used where the description has none. Returns None when
    the package has no plugin or the plugin's version is unknown.
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
