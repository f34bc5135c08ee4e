"""A stack of the real engine for a program inside the test, with its own PULUMI_HOME, backend and plugins."""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pulumi import automation
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS

from lab import settings
from lab.engine.plugins import install_stand_in
from lab.engine.versions import plugin_version

# A refused preview leaves a channel that keeps trying to reach the engine, which has ended. By default, the channels of
# a process share their connections (gRPC core, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL). So a later engine that gets the
# same port would seem to have ended as well.
_GRPC_CHANNEL_OPTIONS.append(("grpc.use_local_subchannel_pool", 1))


@dataclass(frozen=True)
class Up:
    """What `pulumi up` did."""

    change_summary: Mapping[automation.OpType, int]
    _stack: automation.Stack

    @property
    def outputs(self) -> automation.OutputMap:
        """The stack's outputs, for which this runs two commands."""
        return self._stack.outputs()


class InlineStack:
    """One stack. `output` has the text of the last operation."""

    def __init__(self, folder: Path, plugins: Iterable[str]) -> None:
        self.home = folder / "home"
        backend = folder / "state"
        backend.mkdir(parents=True)
        for plugin in plugins:
            install_stand_in(plugin, plugin_version(plugin), self.home)
        self.environment = {
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE": "only for tests",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "SSH_AUTH_SOCK": "",
        }
        self._folder = folder
        self._name = "test"
        self._handle: automation.Stack | None = None
        self.output = ""

    def up(
        self,
        program: Callable[[], None],
        *,
        refresh: bool = False,
        replace: Sequence[str] = (),
        continue_on_error: bool = False,
        on_event: Callable[[automation.EngineEvent], Any] | None = None,
    ) -> Up:
        """Run `pulumi up`. Raises CommandError with the engine's output when it fails."""
        changes: dict[automation.OpType, int] = {}

        def note(event: automation.EngineEvent) -> None:
            if event.summary_event:
                changes.update(event.summary_event.resource_changes)
            if on_event:
                on_event(event)

        stack = self.stack(program)
        # Otherwise, three more commands ask for the outputs and for a summary.
        with patch.object(stack, "outputs"), patch.object(stack, "info"):
            stack.up(
                on_output=self._collect(),
                on_event=note,
                refresh=refresh,
                replace=[*replace],
                continue_on_error=continue_on_error,
                color="never",
            )
        return Up(changes, stack)

    def refresh(self, program: Callable[[], None]) -> automation.RefreshResult:
        """Run `pulumi refresh`."""
        return self.stack(program).refresh(on_output=self._collect(), color="never")

    def preview(
        self, program: Callable[[], None], *, on_event: Callable[[automation.EngineEvent], Any] | None = None
    ) -> automation.PreviewResult:
        """Run `pulumi preview`."""
        return self.stack(program).preview(on_output=self._collect(), on_event=on_event, color="never")

    def destroy(self) -> automation.DestroyResult:
        """Run `pulumi destroy`."""
        return self.stack(lambda: None).destroy(on_output=self._collect(), color="never")

    def state_text(self) -> str:
        """Return the text of the state's file; its secrets are encrypted."""
        return next((self._folder / "state").rglob(f"stacks/**/{self._name}.json")).read_text()

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the state's resources by logical name, with secrets as plain text."""
        deployment = self.stack(lambda: None).export_stack().deployment
        assert deployment is not None
        resources = json.loads(json.dumps(deployment)).get("resources", [])
        return {each["urn"].rpartition("::")[2]: each for each in resources}

    def export(self) -> dict[str, Any]:
        """Return the state as `pulumi stack export` does, with encrypted secrets."""
        exported: dict[str, Any] = json.loads(self._cli("stack", "export", "--stack", self._name))
        return exported

    def import_(self, exported: dict[str, Any]) -> None:
        """Replace this stack's state by an exported one; both are encrypted with the same passphrase."""
        self.stack(lambda: None)
        self._cli("stack", "import", "--stack", self._name, stdin=json.dumps(exported))

    def rename(self, name: str) -> None:
        """Run `pulumi stack rename`."""
        self._cli("stack", "rename", "--stack", self._name, name)
        self._name = name

    def stack(self, program: Callable[[], None]) -> automation.Stack:
        """Return the Automation API's handle, with `program` as the stack's program."""
        if self._handle is None or self._handle.name != self._name:
            # Kept, because each new handle runs two commands.
            self._handle = automation.create_or_select_stack(
                self._name,
                project_name="inline",
                program=program,
                opts=automation.LocalWorkspaceOptions(
                    work_dir=str(self._folder),
                    env_vars=self.environment,
                    pulumi_command=automation.PulumiCommand(str(settings.BIN.parent)),
                    project_settings=automation.ProjectSettings("inline", "python"),
                ),
            )
        self._handle.workspace.program = program
        return self._handle

    def _cli(self, *arguments: str, stdin: str = "") -> str:
        return subprocess.run(
            [str(settings.BIN / "pulumi"), *arguments, "--non-interactive"],
            cwd=self._folder,
            env={**os.environ, **self.environment},
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def _collect(self) -> Callable[[str], None]:
        self.output = ""

        def collect(text: str) -> None:
            self.output += text + "\n"

        return collect
