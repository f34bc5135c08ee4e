"""Which version of each resource plugin the installed SDKs ask for; light, for it is asked at every start."""

import json
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("aws", "command", "random", "tls")
"""The packages the lab has stand-ins for."""


def plugin_version(package: str) -> str:
    """Return the plugin version in the pulumi-plugin.json of the SDK `pulumi_<package>`, without a v.

    The SDK is found without being imported (that takes seconds for `aws`). Raises ModuleNotFoundError without it.
    """
    spec = find_spec(f"pulumi_{package}")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"pulumi_{package} is not installed: its pulumi-plugin.json names the plugin's version; run `make setup`"
        )
    return str(json.loads(Path(spec.origin).with_name("pulumi-plugin.json").read_text())["version"])
