"""Decides which of its three commands a command resource runs; the same for local and remote commands."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from lab.resource_plugins.base import UNKNOWN, Call, Input, Properties
from lab.resource_plugins.command.transcript import LOGGING

Runner: TypeAlias = Callable[[Call, str, Properties, Properties], Properties]
"""(call, command, properties, outputs of the previous run or {}) -> outputs."""

INPUTS = {
    "create": Input(),
    "update": Input(),
    "delete": Input(),
    "triggers": Input(replaces=True),
    "stdin": Input(),
    "logging": Input(),
    "environment": Input(),
    "addPreviousOutputInEnv": Input(),
}
"""Inputs of both kinds of command. `triggers` always replaces; a change of any other input is an update."""

OUTPUTS = ("stdout", "stderr")


@dataclass(frozen=True)
class Lifecycle:
    """The handlers of a command resource; `run` runs a command."""

    run: Runner

    def create(self, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Run `create`, if it is set. The id is the logical name and eight hex digits."""
        command = inputs.get("create")
        outputs = dict.fromkeys(OUTPUTS, "") if command is None else self.run(call, command, inputs, {})
        return call.name + secrets.token_hex(4), outputs

    def update(
        self, call: Call, _id: str, state: Properties, inputs: Properties, _changed: frozenset[str]
    ) -> Properties:
        """Run the new `update` or, without one, the new `create`. Without both only the inputs change."""
        command = inputs.get("update", inputs.get("create"))
        return _previous(state) if command is None else self.run(call, command, inputs, _previous(state))

    def delete(self, call: Call, _id: str, state: Properties) -> None:
        """Run `delete`, if it is set, with the inputs of the last operation."""
        if state.get("delete") is not None:
            self.run(call, state["delete"], state, _previous(state))


def unknown_logging(inputs: Properties) -> list[tuple[str, str]]:
    """Return a problem when `logging` has an unknown value."""
    value = inputs.get("logging")
    if value is None or value is UNKNOWN or value in LOGGING:
        return []
    return [("logging", f"logging {value!r} must be one of: {', '.join(LOGGING)}")]


def _previous(state: Properties) -> Properties:
    return {name: state.get(name, "") for name in OUTPUTS}
