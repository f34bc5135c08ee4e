"""Returns what a preview of the pair plans, and what an update of it does, as a `Plan`."""

import copy
import re
from collections.abc import Sequence
from typing import Any

from pulumi import automation

from tests.engine.inline_stack import InlineStack
from tests.engine.plans import Plan
from tests.engine.released import program

_REFUSALS = (r"settings? (?:is|are) wrong:\s*- (.*)", r"hook .* failed: (.*)")


def preview(stack: InlineStack, arguments: Any) -> Plan:
    """Preview the pair with these arguments over the stack's state. A refusal is a plan, too."""
    events = _Events()
    try:
        stack.preview(program(copy.deepcopy(arguments)), on_event=events.note)
    except automation.CommandError as error:
        refusal = next((match[1] for each in _REFUSALS if (match := re.search(each, str(error)))), None)
        if refusal is None:
            raise
        return Plan(operations={}, refused=refusal)
    return events.plan()


def update(stack: InlineStack, arguments: Any, *, replace: Sequence[str] = ()) -> Plan:
    """Run `pulumi up` of the pair with these arguments, with `--replace` of these URNs.

    Raises CommandError when it fails.
    """
    events = _Events()
    stack.up(program(copy.deepcopy(arguments)), replace=replace, on_event=events.note)
    return events.plan()


class _Events:
    def __init__(self) -> None:
        self._operations: dict[tuple[str, str], str] = {}
        self._changed: dict[tuple[str, str], tuple[str, ...]] = {}
        self._warnings: list[str] = []

    def note(self, event: automation.EngineEvent) -> None:
        """Record an event of the engine."""
        metadata = event.resource_pre_event.metadata if event.resource_pre_event else None
        if metadata is not None and metadata.op not in {automation.OpType.SAME, automation.OpType.READ}:
            # A replacement has several steps, and only one of them is called "replace".
            key = (metadata.type, metadata.urn.rpartition("::")[2])
            operation = _OPERATIONS.get(metadata.op, metadata.op.value)
            self._changed[key] = tuple(metadata.diffs or ())
            operations = self._operations
            operations[key] = "replace" if "replace" in {operation, operations.get(key)} else operation
        if event.diagnostic_event and event.diagnostic_event.severity == "warning":
            self._warnings.append(event.diagnostic_event.message.strip())

    def plan(self) -> Plan:
        return Plan(operations=self._operations, changed=self._changed, warnings=tuple(sorted(self._warnings)))


_OPERATIONS = {
    automation.OpType.CREATE_REPLACEMENT: "replace",
    automation.OpType.DELETE_REPLACED: "replace",
}
