"""`command:local:Command`: a command on this machine, for each of create, update and delete.

The inputs `assetPaths` and `archivePaths` are not supported and are refused.
"""

import asyncio
import math
import os
import signal
from collections.abc import Mapping

from lab.resource_plugins.base import Call, Input, Properties, Resource
from lab.resource_plugins.command import waiting
from lab.resource_plugins.command.lifecycle import INPUTS, OUTPUTS, Lifecycle, unknown_logging
from lab.resource_plugins.command.transcript import CommandError, Stream, Transcript, previous_outputs

_SHELL = ("/bin/sh", "-c")
_CHUNK = 1 << 16


def check(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    """Validate the inputs."""
    return unknown_logging(inputs) or inputs


def _run_to_end(call: Call, command: str, properties: Properties, previous: Properties) -> Properties:
    return waiting.run(call, _run(call, command, properties, previous))


async def _run(call: Call, command: str, properties: Properties, previous: Properties) -> Properties:
    transcript = Transcript(properties.get("logging"), call.log)
    environment = {**(properties.get("environment") or {}), **previous_outputs(properties, previous)}
    try:
        process = await _start(command, properties, environment)
    except OSError as error:
        reason = f"{error.filename or properties.get('dir')}: {(error.strerror or str(error)).lower()}"
        raise CommandError(transcript.failure(reason, command)) from error
    try:
        async with asyncio.timeout(waiting.seconds_left(call)):
            await _converse(process, (properties.get("stdin") or "").encode(), transcript)
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        transcript.close()
    if process.returncode:
        raise CommandError(transcript.failure(_reason(process.returncode), command))
    return transcript.outputs()


async def _start(command: str, properties: Properties, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(properties.get("interpreter") or _SHELL),
        command,
        stdin=asyncio.subprocess.PIPE if properties.get("stdin") else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=properties.get("dir"),
        env={**os.environ, **environment},
    )


async def _converse(process: asyncio.subprocess.Process, stdin: bytes, transcript: Transcript) -> None:
    await asyncio.gather(
        _feed(process.stdin, stdin),
        _collect(process.stdout, "stdout", transcript),
        _collect(process.stderr, "stderr", transcript),
    )
    await process.wait()


async def _feed(stdin: asyncio.StreamWriter | None, data: bytes) -> None:
    if stdin is None:
        return
    try:
        stdin.write(data)
        await stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # the command does not read its input
    finally:
        stdin.close()


async def _collect(reader: asyncio.StreamReader | None, stream: Stream, transcript: Transcript) -> None:
    while reader is not None and (data := await reader.read(_CHUNK)):
        transcript.write(stream, data)


def _reason(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    return f"signal: {(signal.strsignal(-status) or str(-status)).lower()}"


_LIFECYCLE = Lifecycle(_run_to_end)

COMMAND = Resource(
    "command:local:Command",
    {"interpreter": Input(), "dir": Input(), **INPUTS},
    create=_LIFECYCLE.create,
    update=_LIFECYCLE.update,
    delete=_LIFECYCLE.delete,
    check=check,
    outputs=OUTPUTS,
    moved_by=dict.fromkeys(OUTPUTS, ("*",)),
    timeout=math.inf,
)
