"""`command:remote:Command`: a command on another machine, through SSH, for each of create, update and delete.

As in the real plugin, `custom_timeouts` and the engine's cancellation end only the dialling. A running command is not
interrupted.
"""

import asyncio
import math
from typing import Any

from lab.resource_plugins.base import Call, Input, Properties, Resource
from lab.resource_plugins.command.connection import problems_of, with_defaults
from lab.resource_plugins.command.lifecycle import INPUTS, OUTPUTS, Lifecycle, unknown_logging
from lab.resource_plugins.command.transcript import Transcript, previous_outputs


def check(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    """Validate the inputs and fill in the connection's defaults."""
    connection = with_defaults(inputs["connection"])
    problems = problems_of(connection) + unknown_logging(inputs)
    return problems or {**inputs, "connection": connection}


def _run_to_end(call: Call, command: str, properties: Properties, previous: Properties) -> Properties:
    return asyncio.run(_run(call, command, properties, previous))


async def _run(call: Call, command: str, properties: Properties, previous: Properties) -> dict[str, Any]:
    # Imported here because asyncssh takes half a second to import, and a preview does not need it.
    from lab.resource_plugins.command import dialling, session, target  # noqa: PLC0415 - see above

    transcript = Transcript(properties.get("logging"), call.log)
    async with dialling.dialled(call, target.target_of(properties["connection"])) as connection:
        await session.run(
            connection,
            command,
            environment=properties.get("environment") or {},
            previous=previous_outputs(properties, previous),
            stdin=properties.get("stdin") or "",
            transcript=transcript,
            log=call.log,
        )
    return transcript.outputs()


_LIFECYCLE = Lifecycle(_run_to_end)

COMMAND = Resource(
    "command:remote:Command",
    {"connection": Input(required=True), **INPUTS},
    create=_LIFECYCLE.create,
    update=_LIFECYCLE.update,
    delete=_LIFECYCLE.delete,
    check=check,
    outputs=OUTPUTS,
    secret_outputs=("connection",),
    moved_by=dict.fromkeys(OUTPUTS, ("*",)),
    timeout=math.inf,
)
