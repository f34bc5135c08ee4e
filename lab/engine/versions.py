"""The version of each resource plugin that the installed SDKs require. Imports little: every plugin start needs it."""

import json
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("aws", "command", "random", "tls")
"""The packages that have stand-ins."""


def plugin_version(package: str) -> str:
    """Return the plugin version in the pulumi-plugin.json of the SDK `pulumi_<package>`, without a v.

    Does not import the SDK, which takes seconds for `aws`. Raises ModuleNotFoundError when it is not installed.
    """
    spec = find_spec(f"pulumi_{package}")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"pulumi_{package} is not installed, and its pulumi-plugin.json has the plugin's version; run `make setup`"
        )
    return str(json.loads(Path(spec.origin).with_name("pulumi-plugin.json").read_text())["version"])
