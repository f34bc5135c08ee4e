"""List the packages of a Python interpreter: `python -c SOURCE plugins|distributions` prints JSON.

Standard library only, because the interpreter of the user's program runs it. It is run by its source, not by its path,
so that the modules of this folder are not on the import path.
"""

import importlib.util
import json
import os
import re
import sys
from typing import Any

# Packages without a plugin in spite of their names; the real host has the same list.
_WITHOUT_PLUGIN = {"pulumi_policy", "pulumi_esc_sdk"}


def plugins() -> list[dict[str, Any]]:
    """Return name, version and `plugin` of every Pulumi package; `plugin` is its parsed pulumi-plugin.json, or None.

    As in the real host, a distribution is a Pulumi package when its module has a pulumi-plugin.json or its name starts
    with `pulumi-`. Names are taken from the folders of installed distributions (PyPA, "Recording installed projects"):
    reading all metadata takes ten times as long, and every command waits for this.
    """
    packages: dict[str, dict[str, Any]] = {}
    for name, version in _installed():
        plugin = _plugin(name)
        if name in packages or name in _WITHOUT_PLUGIN or (plugin is None and not name.startswith("pulumi_")):
            continue
        packages[name] = {"name": name.replace("_", "-"), "version": version, "plugin": plugin}
    return list(packages.values())


def distributions() -> list[dict[str, Any]]:
    """Return name, version and `required` (whether another distribution requires it) of every distribution."""
    import importlib.metadata  # noqa: PLC0415 - takes 50 ms, and `plugins` does not need it

    installed: dict[str, importlib.metadata.Distribution] = {}
    for each in importlib.metadata.distributions():
        # The first on the import path is the one that is imported.
        if each.metadata["Name"]:
            installed.setdefault(_normalised(each.metadata["Name"]), each)
    required = {_normalised(name) for each in installed.values() for name in _requirements(each.requires or [])}
    return [
        {"name": each.metadata["Name"], "version": each.version, "required": name in required}
        for name, each in sorted(installed.items())
    ]


def _installed() -> list[tuple[str, str]]:
    distributions = []
    for folder in sys.path:
        try:
            entries = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for entry in entries:
            stem, _, suffix = entry.rpartition(".")
            name, _, version = stem.partition("-")
            if suffix == "dist-info" and name and version:
                distributions.append((name, version))
    return distributions


def _requirements(requirements: list[str]) -> list[str]:
    """Return the names of the required distributions, without those of extras."""
    return [
        match[0]
        for each in requirements
        if not re.search(r"\bextra\s*==", each) and (match := re.match(r"[A-Za-z0-9._-]+", each))
    ]


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _plugin(module: str) -> Any:
    if not module.isidentifier():
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    for folder in (spec and spec.submodule_search_locations) or []:
        path = os.path.join(folder, "pulumi-plugin.json")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                return json.load(file)
    return None


if __name__ == "__main__":
    # The first entry is the working directory, where nothing is installed.
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    json.dump({"plugins": plugins, "distributions": distributions}[sys.argv[1]](), sys.stdout)
