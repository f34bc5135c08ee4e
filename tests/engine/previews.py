"""What a preview of the pair says, as `Plan`."""

import copy
import re
from typing import Any

from pulumi import automation

from tests.engine.changes import Plan
from tests.engine.inline_stack import InlineStack
from tests.engine.released import program


def preview(stack: InlineStack, arguments: Any) -> Plan:
    """Preview the pair with these arguments over the stack's state; refused settings are a plan too."""
    operations: dict[tuple[str, str], str] = {}
    warnings: list[str] = []

    def note(event: automation.EngineEvent) -> None:
        metadata = event.resource_pre_event.metadata if event.resource_pre_event else None
        if metadata is not None and metadata.op not in {automation.OpType.SAME, automation.OpType.READ}:
            # A replacement is several steps; one of them has its plain name.
            key = (metadata.type, metadata.urn.rpartition("::")[2])
            operation = _OPERATIONS.get(metadata.op, metadata.op.value)
            operations[key] = "replace" if "replace" in {operation, operations.get(key)} else operation
        if event.diagnostic_event and event.diagnostic_event.severity == "warning":
            warnings.append(event.diagnostic_event.message.strip())

    try:
        stack.preview(program(copy.deepcopy(arguments)), on_event=note)
    except automation.CommandError as error:
        refused = re.search(r"settings? (?:is|are) wrong:\s*- (.*)", str(error))
        if refused is None:
            raise
        return Plan(operations={}, refused=refused[1])
    return Plan(operations=operations, warnings=tuple(sorted(warnings)))


_OPERATIONS = {
    automation.OpType.CREATE_REPLACEMENT: "replace",
    automation.OpType.DELETE_REPLACED: "replace",
}
