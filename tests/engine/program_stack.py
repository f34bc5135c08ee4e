"""A stack of the checkout's own program, as `pulumi` runs it in the lab, with its own backend and API."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab import settings
from tests.engine.api_process import ApiProcess
from tests.engine.conftest import Cli

STACK = "lab"


@dataclass
class Update:
    """The output and the events of one run of the engine."""

    output: str
    events: list[dict[str, Any]]

    @property
    def operations(self) -> dict[str, str]:
        """Logical name -> operation, of every changed resource except providers."""
        operations: dict[str, str] = {}
        for event in self.events:
            metadata = event.get("resourcePreEvent", {}).get("metadata")
            if metadata and metadata["op"] not in {"same", "read"} and not metadata["type"].startswith("pulumi:"):
                operations.setdefault(metadata["urn"].rpartition("::")[2], metadata["op"])
        return operations


@dataclass
class ProgramStack:
    """A stack in a scratch project folder, whose Pulumi.yaml names the checkout's program. Its provider calls `api`."""

    folder: Path
    api: ApiProcess
    cli: Cli = field(init=False)
    _number: int = 0

    def make(self, environment: dict[str, str]) -> "ProgramStack":
        """Write the project and its stack. Nothing is deployed yet."""
        backend = self.folder / "state"
        project = self.folder / "project"
        backend.mkdir(parents=True)
        project.mkdir()
        project_file = yaml.safe_load((settings.ROOT / "Pulumi.yaml").read_text())
        project_file["main"] = str(settings.ROOT)
        project_file["runtime"]["options"]["virtualenv"] = sys.prefix
        (project / "Pulumi.yaml").write_text(yaml.safe_dump(project_file))
        name = f"Pulumi.{STACK}.yaml"
        (project / name).write_bytes((settings.ROOT / name).read_bytes())
        variables = {
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "AWS_ENDPOINT_URL": self.api.url,
            "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
        }
        self.cli = Cli(project, {**environment, **variables})
        self.cli("stack", "init", STACK)
        # No machine boots here, so there is nothing to verify.
        self.cli("config", "set", "verify", "false")
        return self

    def run(self, *arguments: str, code: int = 0) -> Update:
        """Run `pulumi` with an event log."""
        log = self._log()
        output = self.cli(*arguments, "--event-log", str(log), code=code)
        return Update(output, _events(log))

    def up(self, *arguments: str, code: int = 0) -> Update:
        """Run `pulumi up` without its own preview."""
        return self.run("up", "--yes", "--skip-preview", *arguments, code=code)

    def interrupted(self, command: str, when: Callable[[], bool]) -> Update:
        """Run `pulumi COMMAND` and interrupt its process group, as one Ctrl-C does, as soon as `when` returns True."""
        log = self._log()
        process = self.cli.start(command, "--yes", "--skip-preview", "--event-log", str(log))
        try:
            deadline = time.monotonic() + 600
            while not when():
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert process.returncode != 0, output
        return Update(output, _events(log))

    def deployment(self) -> dict[str, Any]:
        """Return the state: `resources`, `pending_operations`."""
        deployment: dict[str, Any] = json.loads(self.cli("stack", "export"))["deployment"]
        return deployment

    def ids(self) -> dict[str, str]:
        """Return the ids of all resources except providers and components, by logical name."""
        resources = self.deployment().get("resources", [])
        real = (each for each in resources if each.get("id") and not each["type"].startswith("pulumi:"))
        return {each["urn"].rpartition("::")[2]: each["id"] for each in real}

    def destroy(self) -> None:
        """Destroy all resources. Fails unless the state is empty afterwards."""
        self.cli("destroy", "--yes", "--skip-preview")
        assert not self.deployment().get("resources")

    def _log(self) -> Path:
        self._number += 1
        return self.folder / f"events-{self._number}.json"


def _events(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line]
