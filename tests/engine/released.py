"""The states of released versions. `make state` adds the state of the version in pyproject.toml.

A state is the engine's export of the pair of `changes.BASE` after `pulumi up` over the lab's API. Its secrets were made
only for this, and are encrypted with a passphrase of the tests.
"""

import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from components import VpnGatewayPair
from tests.engine.api_process import ApiProcess, running_api
from tests.engine.changes import BASE
from tests.engine.inline_stack import InlineStack
from tests.generated import ROOT

STATES: Final = Path(__file__).parent / "states"
PLUGINS: Final = ("aws", "command", "random", "tls")


def program(arguments: Any) -> Callable[[], None]:
    """Return the program of the states."""

    def declare() -> None:
        VpnGatewayPair("vpn", arguments)

    return declare


def aws_environment(api: ApiProcess) -> dict[str, str]:
    """Return the environment in which programs and plugins call `api` instead of AWS."""
    return {
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def write_state(folder: Path, version: str) -> Path:
    """Deploy the pair and write its state. Raises FileExistsError if that version's state was already written."""
    file = STATES / f"{version}.json"
    if file.exists():
        raise FileExistsError(
            f"{file.name} exists: the state of a released version never changes; raise the version first"
        )
    stack = InlineStack(folder, PLUGINS)
    stack.up(program(BASE))
    released = {"arguments": BASE, "deployment": without_traces(stack.export())}
    stack.destroy()
    file.write_text(json.dumps(released, separators=(",", ":")) + "\n")
    return file


def without_traces(exported: dict[str, Any]) -> dict[str, Any]:
    """Return an exported state without times and places of the machine that made it, which are half of its size."""
    for resource in exported["deployment"]["resources"]:
        for key in ("created", "modified", "sourcePosition", "stackTrace"):
            resource.pop(key, None)
    return exported


def main() -> None:
    """Write the state of this version."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    with running_api() as api, tempfile.TemporaryDirectory() as folder:
        os.environ.update(aws_environment(api))
        print(write_state(Path(folder) / "stack", version).relative_to(ROOT), file=sys.stderr)


if __name__ == "__main__":
    main()
