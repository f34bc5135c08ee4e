"""Which resource plugin an installed Pulumi package asks the engine for."""

import re
from collections.abc import Mapping
from typing import Any

from lab.language_hosts.base import plugin_dependency as packages

_STAGES = {"a": "alpha", "b": "beta", "rc": "rc"}


def dependency(package: Mapping[str, Any]) -> Any:
    """Return the PackageDependency of a package that `packages.plugins` has listed.

    None for a package that says it has no plugin, or whose plugin version cannot be told. What pulumi-plugin.json does
    not say is derived from the distribution's name and version.
    """
    return packages.dependency(
        package["plugin"] or {"resource": True},
        name=package["name"].removeprefix("pulumi-"),
        version=semantic_version(package["version"]),
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
