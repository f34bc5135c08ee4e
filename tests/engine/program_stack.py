"""A stack of the checkout's own program, as `pulumi` runs it in the lab, but with its own backend and its own API."""

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
    """What one run of the engine did."""

    output: str
    events: list[dict[str, Any]]

    @property
    def operations(self) -> dict[str, str]:
        """Logical name -> operation, of every resource but providers that is not as it was."""
        found: dict[str, str] = {}
        for event in self.events:
            metadata = event.get("resourcePreEvent", {}).get("metadata")
            if metadata and metadata["op"] not in {"same", "read"} and not metadata["type"].startswith("pulumi:"):
                found.setdefault(metadata["urn"].rpartition("::")[2], metadata["op"])
        return found


@dataclass
class ProgramStack:
    """The project's folder is a scratch copy: its Pulumi.yaml points at the checkout's program, its stack at `api`."""

    folder: Path
    api: ApiProcess
    cli: Cli = field(init=False)
    _number: int = 0

    def make(self, environment: dict[str, str]) -> "ProgramStack":
        """Write the project and its stack; nothing is created yet."""
        backend = self.folder / "state"
        project = self.folder / "project"
        backend.mkdir(parents=True)
        project.mkdir()
        described = yaml.safe_load((settings.ROOT / "Pulumi.yaml").read_text())
        described["main"] = str(settings.ROOT)
        described["runtime"]["options"]["virtualenv"] = sys.prefix
        (project / "Pulumi.yaml").write_text(yaml.safe_dump(described))
        name = f"Pulumi.{STACK}.yaml"
        (project / name).write_bytes((settings.ROOT / name).read_bytes())
        own = {
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "AWS_ENDPOINT_URL": self.api.url,
            "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
        }
        self.cli = Cli(project, {**environment, **own})
        self.cli("stack", "init", STACK)
        # No machine boots here: there is nothing that could be verified.
        self.cli("config", "set", "verify", "false")
        return self

    def run(self, *arguments: str, code: int = 0) -> Update:
        """Run `pulumi` with an event log."""
        log = self._log()
        output = self.cli(*arguments, "--event-log", str(log), code=code)
        return Update(output, _events(log))

    def up(self, *arguments: str, code: int = 0) -> Update:
        """Run `pulumi up` without a preview of its own."""
        return self.run("up", "--yes", "--skip-preview", *arguments, code=code)

    def interrupted(self, command: str, when: Callable[[], bool]) -> Update:
        """Run `pulumi COMMAND` and send it one SIGINT, as Ctrl-C does to a process group, as soon as `when` holds."""
        log = self._log()
        process = self.cli.start(command, "--yes", "--skip-preview", "--event-log", str(log))
        try:
            deadline = time.monotonic() + 120
            while not when():
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=120)
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
        """Return the ids of all resources that are something by themselves (no providers), by logical name."""
        resources = self.deployment().get("resources", [])
        real = (each for each in resources if each.get("id") and not each["type"].startswith("pulumi:"))
        return {each["urn"].rpartition("::")[2]: each["id"] for each in real}

    def destroy(self) -> None:
        """Destroy whatever there is; the state is empty then."""
        self.cli("destroy", "--yes", "--skip-preview")
        assert not self.deployment().get("resources")

    def _log(self) -> Path:
        self._number += 1
        return self.folder / f"events-{self._number}.json"


def _events(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line]
