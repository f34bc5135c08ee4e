"""Remote commands without the machines that they log in to."""

from typing import Any

from pulumi_command import local

COMMAND = "components.resources.remote_commands.remote.Command"
"""What `command_without_machine` stands in for."""


def command_without_machine(name: str, *, create: Any, stdin: Any, triggers: Any, opts: Any, **_: Any) -> local.Command:
    """Stand in for a command on a gateway: the same inputs change it, and it has the same options.

    It runs on this machine and does nothing.
    """
    return local.Command(name, create="true", environment={"SCRIPT": create}, stdin=stdin, triggers=triggers, opts=opts)
