"""`command:remote:Command`: a command on another machine, by SSH, for each of create, update and delete.

As in the real plugin, `custom_timeouts` and the engine's cancellation end the dialling alone; a command that runs is
waited for.
"""

import asyncio
import math
from typing import Any

from lab.resource_plugins.base import Call, Input, Properties, Resource
from lab.resource_plugins.command.connection import complaints, with_defaults
from lab.resource_plugins.command.lifecycle import INPUTS, OUTPUTS, Lifecycle, unknown_logging
from lab.resource_plugins.command.transcript import Transcript, previous_outputs


def check(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    """Fill in the connection's defaults, or say what is wrong."""
    connection = with_defaults(inputs["connection"])
    found = complaints(connection) + unknown_logging(inputs)
    return found or {**inputs, "connection": connection}


def _run(call: Call, command: str, properties: Properties, former: Properties) -> Properties:
    return asyncio.run(_run_there(call, command, properties, former))


async def _run_there(call: Call, command: str, properties: Properties, former: Properties) -> dict[str, Any]:
    # What dials takes half a second to import, which a preview never needs.
    from lab.resource_plugins.command import dialling, session, target  # noqa: PLC0415

    transcript = Transcript(properties.get("logging"), call.log)
    async with dialling.dialled(call, target.target_of(properties["connection"])) as connection:
        await session.run(
            connection,
            command,
            environment=properties.get("environment") or {},
            previous=previous_outputs(properties, former),
            stdin=properties.get("stdin") or "",
            transcript=transcript,
            log=call.log,
        )
    return transcript.outputs()


_LIFECYCLE = Lifecycle(_run)

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
