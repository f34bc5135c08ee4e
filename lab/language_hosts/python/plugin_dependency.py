"""The resource plugin that an installed Python package requires."""

import re
from collections.abc import Mapping
from typing import Any

from lab.language_hosts.base.plugin_dependency import plugin_dependency

_STAGES = {"a": "alpha", "b": "beta", "rc": "rc"}


def dependency_of(package: Mapping[str, Any]) -> Any:
    """Return the PackageDependency for an element of `installed_packages.plugins()`.

    Name and version are derived from the distribution's where pulumi-plugin.json has none. Returns None when the
    package has no plugin or the plugin's version is unknown.
    """
    return plugin_dependency(
        package["plugin"] or {"resource": True},
        name=package["name"].removeprefix("pulumi-"),
        version=semantic_version(package["version"]),
    )


def semantic_version(version: str) -> str | None:
    """Return a Python package's version (PEP 440) as a plugin's: `1.0` -> `1.0.0`, `1.2.3a4` -> `1.2.3-alpha.4`.

    `.post1` and `.dev1` become build metadata. Returns None for a version with an epoch, and for one that does not
    follow PEP 440.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?(?:\.(post\d+))?(?:\.(dev\d+))?", version)
    if match is None:
        return None
    numbers = match[1].split(".")
    release = ".".join([*numbers, *["0"] * (3 - len(numbers))])
    stage = f"-{_STAGES[match[2]]}.{match[3]}" if match[2] else ""
    build = f"{match[4] or ''}{match[5] or ''}"
    return f"{release}{stage}{'+' if build else ''}{build}"
