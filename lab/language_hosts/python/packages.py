"""List what a Python interpreter sees: `python -c SOURCE plugins|distributions` prints JSON.

Standard library only: it is run by the interpreter of the user's program, which need not have anything of the lab. Its
source is handed over, not its path: this folder has a package `random`, which would hide the standard one.
"""

import importlib.util
import json
import os
import re
import sys
from typing import Any

# Known to the real host, too, as having no plugin in spite of their names.
_WITHOUT_PLUGIN = {"pulumi_policy", "pulumi_esc_sdk"}


def plugins() -> list[dict[str, Any]]:
    """Return name, version and parsed `plugin` file of every Pulumi package: pulumi-plugin.json, or None without one.

    A distribution is a Pulumi package when its module has a pulumi-plugin.json or its name starts with `pulumi-`, as
    the real host has it. Names come from the folders of installed distributions (PyPA, "Recording installed projects"):
    reading all metadata takes ten times as long, at the start of every command.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, version in _installed():
        plugin = _plugin(name)
        if name in found or name in _WITHOUT_PLUGIN or (plugin is None and not name.startswith("pulumi_")):
            continue
        found[name] = {"name": name.replace("_", "-"), "version": version, "plugin": plugin}
    return list(found.values())


def distributions() -> list[dict[str, Any]]:
    """Return name, version and `required` (by another distribution) of everything installed."""
    import importlib.metadata  # noqa: PLC0415 - 50 ms that `plugins` does not need

    found: dict[str, importlib.metadata.Distribution] = {}
    for each in importlib.metadata.distributions():
        # The first on the path is the one that gets imported.
        if each.metadata["Name"]:
            found.setdefault(_normalised(each.metadata["Name"]), each)
    required = {_normalised(name) for each in found.values() for name in _requirements(each.requires or [])}
    return [
        {"name": each.metadata["Name"], "version": each.version, "required": name in required}
        for name, each in sorted(found.items())
    ]


def _installed() -> list[tuple[str, str]]:
    found = []
    for folder in sys.path:
        try:
            entries = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for entry in entries:
            stem, _, suffix = entry.rpartition(".")
            name, _, version = stem.partition("-")
            if suffix == "dist-info" and name and version:
                found.append((name, version))
    return found


def _requirements(requirements: list[str]) -> list[str]:
    """Names of what is needed in any case; an extra is nobody's need until it is asked for."""
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
    # The interpreter has put the working directory first, where nothing is installed.
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    json.dump({"plugins": plugins, "distributions": distributions}[sys.argv[1]](), sys.stdout)
