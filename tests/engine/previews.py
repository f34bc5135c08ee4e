"""What a preview of the pair says, and what an update of it does, as `Plan`."""

import copy
import re
from typing import Any

from pulumi import automation

from tests.engine.changes import Plan
from tests.engine.inline_stack import InlineStack
from tests.engine.released import program

_REFUSALS = (r"settings? (?:is|are) wrong:\s*- (.*)", r"hook .* failed: (.*)")


def preview(stack: InlineStack, arguments: Any) -> Plan:
    """Preview the pair with these arguments over the stack's state; what is refused is a plan too."""
    events = _Events()
    try:
        stack.preview(program(copy.deepcopy(arguments)), on_event=events.note)
    except automation.CommandError as error:
        refused = next((found[1] for each in _REFUSALS if (found := re.search(each, str(error)))), None)
        if refused is None:
            raise
        return Plan(operations={}, refused=refused)
    return events.plan()


def update(stack: InlineStack, arguments: Any) -> Plan:
    """Run `pulumi up` of the pair with these arguments. Raises CommandError when it is red."""
    events = _Events()
    stack.up(program(copy.deepcopy(arguments)), on_event=events.note)
    return events.plan()


class _Events:
    def __init__(self) -> None:
        self._operations: dict[tuple[str, str], str] = {}
        self._warnings: list[str] = []

    def note(self, event: automation.EngineEvent) -> None:
        """Take an event of the engine."""
        metadata = event.resource_pre_event.metadata if event.resource_pre_event else None
        if metadata is not None and metadata.op not in {automation.OpType.SAME, automation.OpType.READ}:
            # A replacement is several steps; one of them has its plain name.
            key = (metadata.type, metadata.urn.rpartition("::")[2])
            operation = _OPERATIONS.get(metadata.op, metadata.op.value)
            operations = self._operations
            operations[key] = "replace" if "replace" in {operation, operations.get(key)} else operation
        if event.diagnostic_event and event.diagnostic_event.severity == "warning":
            self._warnings.append(event.diagnostic_event.message.strip())

    def plan(self) -> Plan:
        return Plan(operations=self._operations, warnings=tuple(sorted(self._warnings)))


_OPERATIONS = {
    automation.OpType.CREATE_REPLACEMENT: "replace",
    automation.OpType.DELETE_REPLACED: "replace",
}
