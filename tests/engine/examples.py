"""The examples as a user runs them: a copy of the files in git, the real engine, and one API for all."""

import json
import subprocess
import sysconfig
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from lab import settings
from tests.engine.api_process import ApiProcess
from tests.engine.conftest import Cli

REGIONS = ("eu-west-2", "ap-southeast-2", "us-east-1")
PATHS = (
    "components",
    "examples",
    "templates",
    "userdata",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements.txt",
)
"""The paths of this repository that its use as a component needs."""


def copy_checkout(folder: Path) -> Path:
    """Copy the checkout's files that are in git or would be, so that nothing is written beside its sources."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PATHS],
        cwd=settings.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((settings.ROOT / name).read_bytes())
    return folder


@dataclass(frozen=True)
class Example:
    """One program's folder, with its own backend."""

    cli: Cli
    api: ApiProcess

    @classmethod
    def of(cls, folder: Path, environment: dict[str, str], api: ApiProcess) -> "Example":
        """Prepare a project folder. Its dependencies are not installed yet."""
        backend = folder.parent / f"{folder.name}-state"
        backend.mkdir()
        variables = {
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "AWS_ENDPOINT_URL": api.url,
            # New virtual environments use the packages of the lab's own, so nothing is downloaded for them.
            "PYTHONPATH": sysconfig.get_path("purelib"),
        }
        return cls(Cli(folder, {**environment, **variables}), api)

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self.cli.folder

    def run(self, *arguments: str) -> str:
        """Run `pulumi` and print how long it took."""
        began = time.monotonic()
        output = self.cli(*arguments)
        print(f"{self.folder.name}: pulumi {arguments[0]}: {time.monotonic() - began:.0f} s")
        return output

    def init(self, administrator: IPv4Address | None = None) -> None:
        """Install the program's dependencies and create a stack: with the proof if there is an administrator."""
        self.run("install")
        self.cli("stack", "init", "test")
        if administrator is None:
            self.cli("config", "set", "verify", "false")
        else:
            self.cli("config", "set", "--path", "administratorCidrBlocks[0]", f"{administrator}/32")

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the state's resources by logical name."""
        resources: list[dict[str, Any]] = json.loads(self.cli("stack", "export"))["deployment"].get("resources", [])
        return {each["urn"].rpartition("::")[2]: each for each in resources}

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, with hidden secrets."""
        outputs: dict[str, Any] = json.loads(self.cli("stack", "output", "--json"))
        return outputs

    def left_over(self) -> list[str]:
        """Return the resources that are left in its API."""
        return [each for region in REGIONS for each in self.api.left_over(region)]
