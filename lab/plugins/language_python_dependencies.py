"""Which resource plugin an installed Pulumi package asks the engine for."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from lab.plugins.language_python_protocol import plugin_pb2

_STAGES = {"a": "alpha", "b": "beta", "rc": "rc"}


def dependency(package: Mapping[str, Any]) -> Any:
    """Return the PackageDependency of a package that `language_python_packages.plugins` has listed.

    None for a package that says it has no plugin, or whose plugin version cannot be told. What pulumi-plugin.json does
    not say is derived from the distribution's name and version.
    """
    plugin = package["plugin"] or {"resource": True}
    version = plugin.get("version") or semantic_version(package["version"])
    if not plugin.get("resource") or version is None:
        return None
    return plugin_pb2.PackageDependency(
        name=plugin.get("name") or package["name"].removeprefix("pulumi-"),
        kind="resource",
        version=f"v{version.removeprefix('v')}",
        server=plugin.get("server", ""),
        parameterization=_parameterization(plugin.get("parameterization")),
    )


def semantic_version(version: str) -> str | None:
    """Return a Python package's version (PEP 440) as a plugin's: `1.0` -> `1.0.0`, `1.2.3a4` -> `1.2.3-alpha.4`.

    `.post1` and `.dev1` become build metadata. None for an epoch, and for a version that is no PEP 440 version.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?(?:\.(post\d+))?(?:\.(dev\d+))?", version)
    if match is None:
        return None
    numbers = match[1].split(".")
    release = ".".join([*numbers, *["0"] * (3 - len(numbers))])
    stage = f"-{_STAGES[match[2]]}.{match[3]}" if match[2] else ""
    build = f"{match[4] or ''}{match[5] or ''}"
    return f"{release}{stage}{'+' if build else ''}{build}"


def _parameterization(parameterization: Mapping[str, str] | None) -> Any:
    if parameterization is None:
        return None
    return plugin_pb2.PackageParameterization(
        name=parameterization["name"],
        version=parameterization["version"],
        value=base64.b64decode(parameterization["value"]),
    )
