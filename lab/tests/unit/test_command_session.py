"""A session of the stand-in for `command`, with a channel in place of an SSH server's."""

import asyncio
from typing import Any

from lab.resource_plugins.command.session import _Session
from lab.resource_plugins.command.transcript import Transcript


class ClosedChannel:
    """A channel that the server has closed before anything was sent."""

    _make_request: Any = None

    def write(self, _: bytes) -> None:
        """Fail as asyncssh does."""
        raise BrokenPipeError("Channel not open for sending")

    def write_eof(self) -> None:
        """Do nothing, as asyncssh does."""


def test_a_command_that_has_ended_before_its_input_is_sent_ends_with_its_own_status() -> None:
    async def reason_of(status: int) -> str | None:
        session = _Session(b"input", Transcript("none", lambda *_: None), None)
        session.connection_made(ClosedChannel())
        session.exit_status_received(status)
        session.session_started()
        session.connection_lost(None)
        return await session.ended

    assert asyncio.run(reason_of(0)) is None
    assert asyncio.run(reason_of(3)) == "Process exited with status 3"
