"""States that released versions left behind. `make state` adds the one of the version in pyproject.toml.

A state is the pair of `changes.BASE` after `pulumi up` over the lab's API, as the engine exports it. Its secrets were
made for this alone, and are encrypted by a passphrase of the tests.
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
    """Return the program that the states are of."""

    def declare() -> None:
        VpnGatewayPair("vpn", arguments)

    return declare


def aws_environment(api: ApiProcess) -> dict[str, str]:
    """Return what makes programs and plugins meet `api` instead of AWS."""
    return {
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def write_state(folder: Path, version: str) -> Path:
    """Bring the pair up and write its state. Raises FileExistsError: what was released is not written anew."""
    file = STATES / f"{version}.json"
    if file.exists():
        raise FileExistsError(f"{file.name} is there: a released state stays as it was; raise the version first")
    stack = InlineStack(folder, PLUGINS)
    stack.up(program(BASE))
    released = {"arguments": BASE, "deployment": without_traces(stack.export())}
    stack.destroy()
    file.write_text(json.dumps(released, separators=(",", ":")) + "\n")
    return file


def without_traces(exported: dict[str, Any]) -> dict[str, Any]:
    """Return an exported state without what says when and where it was made: half of it, and of one machine."""
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
