"""The stand-in for `command` with the real engine and a real OpenSSH server on 127.0.0.1.

Proves when each command runs, the content of the state, argv and the screen, and the error messages. Does not prove
anything about other SSH servers. Needs root, and builds the guest image if it is missing. Nothing to clean up.
"""

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh
import psutil
import pulumi
import pytest
from pulumi.automation import CommandError
from pulumi_command import local, remote

from tests.engine.inline_stack import InlineStack, Up
from tests.engine.ssh_server import SshServer

pytestmark = pytest.mark.whole

UNUSED_PORT = 1
"""Where nothing listens. The kernel gives this port to no other test."""

SECRET = "c0rrect-h0rse-battery"  # noqa: S105 - of this test


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    with SshServer(tmp_path / "sshd") as server:
        yield server


@pytest.fixture
def stack(tmp_path: Path) -> InlineStack:
    return InlineStack(tmp_path / "pulumi", ["command"])


def connection(server: SshServer, **other: Any) -> remote.ConnectionArgs:
    fields = {"host": "127.0.0.1", "port": server.port, "private_key": server.private_key, "host_key": server.host_key}
    return remote.ConnectionArgs(**{**fields, **other})


def program(server: SshServer, *, secret_stdin: str | None = None, **arguments: Any) -> Callable[[], None]:
    def run() -> None:
        command = remote.Command(
            "proof",
            stdin=pulumi.Output.secret(secret_stdin) if secret_stdin else None,
            add_previous_output_in_env=False,
            **{"connection": connection(server), **arguments},
        )
        pulumi.export("stdout", command.stdout)

    return run


def test_a_command_runs_at_create_update_replacement_and_delete(
    server: SshServer, stack: InlineStack, tmp_path: Path
) -> None:
    journal, argv = tmp_path / "journal", tmp_path / "argv"

    def with_trigger(
        trigger: str = "first", update: str = f"echo update >> {journal}", **other: Any
    ) -> Callable[[], None]:
        return program(
            server,
            create=f"cat >> {journal}; tr '\\0' ' ' < /proc/self/cmdline > {argv}; cat /proc/[0-9]*/cmdline >> {argv}; "
            "echo created; echo noted >&2",
            update=update,
            delete=f"echo delete >> {journal}",
            secret_stdin=f"{SECRET}\n",
            triggers=[trigger],
            connection=connection(server, dial_error_limit=-1),
            **other,
        )

    with ThreadPoolExecutor() as pool:
        running = pool.submit(stack.up, with_trigger())
        while "Dial 2/inf failed: retrying" not in stack.output:
            assert not running.done(), running.exception()
            time.sleep(0.05)
        server.start()
        created = running.result()
    assert created.outputs["stdout"].value == "created"
    assert not created.outputs["stdout"].secret
    assert stack.resources()["proof"]["outputs"]["stderr"] == "noted"
    assert journal.read_text() == f"{SECRET}\n"
    for text in (
        stack.output,
        stack.state_text(),
        argv.read_text(errors="replace"),
        (server.folder / "log").read_text(),
    ):
        assert SECRET not in text
        assert "PRIVATE KEY" not in text

    assert stack.up(with_trigger()).change_summary == {"same": 2}

    assert stack.up(with_trigger(environment={"ALLOWED_WORD": "x"})).change_summary == {"same": 1, "update": 1}
    assert journal.read_text() == f"{SECRET}\nupdate\n"

    with pytest.raises(CommandError) as caught:
        stack.up(with_trigger(update="echo layer; echo broken >&2; exit 3"))
    for part in (
        "Process exited with status 3",
        'running "echo layer; echo broken >&2; exit 3"',
        "layer\n",
        "broken\n",
    ):
        assert part in str(caught.value)

    replaced = stack.up(with_trigger("second", environment={"ALLOWED_WORD": "x"}))
    assert replaced.change_summary == {"replace": 1, "same": 1}
    assert journal.read_text() == f"{SECRET}\nupdate\n{SECRET}\ndelete\n"

    stack.destroy()
    assert journal.read_text().endswith("delete\ndelete\n")


def test_an_unreachable_server_a_wrong_host_key_and_a_refused_variable_fail_the_update(
    server: SshServer, stack: InlineStack
) -> None:
    server.start()
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()

    def run() -> None:
        unreachable = connection(server, port=UNUSED_PORT, dial_error_limit=-1)
        one_second = pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="1s"))
        remote.Command("late", connection=unreachable, create="true", opts=one_second)
        pinned = connection(server, host_key=other, dial_error_limit=4)
        remote.Command("pinned", connection=pinned, create="true")
        remote.Command("refused", connection=connection(server), create="true", environment={"FORBIDDEN": "1"})

    with pytest.raises(CommandError) as caught:
        stack.up(run, continue_on_error=True)
    assert re.search("context deadline exceeded$", str(caught.value), re.MULTILINE)
    assert "after 4 failed attempts: ssh: handshake failed: ssh: host key mismatch" in str(caught.value)
    assert 'could not set environment variable "FORBIDDEN": ssh: setenv failed' in str(caught.value)
    assert not {"late", "pinned", "refused"} & stack.resources().keys()


def test_a_command_behind_a_proxy_and_a_local_command_run(
    server: SshServer, stack: InlineStack, tmp_path: Path
) -> None:
    server.start()
    with SshServer(tmp_path / "jump") as jump:
        jump.start()

        def run() -> None:
            proxy = remote.ProxyConnectionArgs(
                host="127.0.0.1", port=jump.port, private_key=jump.private_key, host_key=jump.host_key
            )
            behind = remote.Command(
                "behind",
                connection=connection(server, proxy=proxy),
                create="echo $SSH_CONNECTION $ALLOWED_WORD",
                environment={"ALLOWED_WORD": "word"},
            )
            here = local.Command("here", create='cat; echo "$WORD"', stdin="in\n", environment={"WORD": "out"})
            pulumi.export("behind", behind.stdout)
            pulumi.export("here", here.stdout)

        outputs = stack.up(run).outputs
    assert outputs["behind"].value.endswith(f" {server.port} word")
    assert outputs["here"].value == "in\nout"
    assert "Accepted publickey for root" in (tmp_path / "jump" / "log").read_text()


def test_another_standard_input_alone_runs_create_again_in_place(
    server: SshServer, stack: InlineStack, tmp_path: Path
) -> None:
    server.start()
    with SshServer(tmp_path / "jump") as jump:
        jump.start()

        def of(stdin: str) -> Callable[[], None]:
            def run() -> None:
                proxy = remote.ProxyConnectionArgs(
                    host="127.0.0.1", port=jump.port, private_key=jump.private_key, host_key=jump.host_key
                )
                behind = connection(server, proxy=proxy)
                for name, reached in (("direct", connection(server)), ("behind", behind)):
                    command = remote.Command(
                        name, connection=reached, create="wc -c", stdin=stdin, logging=remote.Logging.NONE
                    )
                    pulumi.export(name, command.stdout)

            return run

        def counts(up: Up) -> list[str]:
            return [up.outputs[name].value for name in ("direct", "behind")]

        # More than a pipe or a packet takes at once.
        assert counts(stack.up(of(f"{SECRET} " * 5000))) == ["110000"] * 2
        assert SECRET not in stack.output
        changed = stack.up(of(f"{SECRET}\n" * 6000))
    assert counts(changed) == ["132000"] * 2
    assert changed.change_summary == {"same": 1, "update": 2}
    assert SECRET not in stack.output


def test_ctrl_c_ends_unlimited_dialling_at_once(server: SshServer, stack: InlineStack) -> None:
    endless = program(server, connection=connection(server, port=UNUSED_PORT, dial_error_limit=-1), create="true")
    errors: list[CommandError] = []

    def up() -> None:
        try:
            stack.up(endless)
        except CommandError as error:
            errors.append(error)

    running = threading.Thread(target=up)
    running.start()
    while "Dial 5/inf failed" not in stack.output:
        assert running.is_alive()
        time.sleep(0.05)
    for child in psutil.Process().children():
        if child.name() == "pulumi":
            child.send_signal(signal.SIGINT)
    running.join(timeout=600)
    assert not running.is_alive()
    assert "context canceled" in str(errors[0])
