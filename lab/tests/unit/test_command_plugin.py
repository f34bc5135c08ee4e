"""`command.remote.Command` without an engine, with an SSH server in this process."""

import asyncio
import math
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import asyncssh
import pytest
from pulumi.provider.experimental.provider import CheckRequest

from lab.resource_plugins.base import UNKNOWN, Call, CancelledError, TimedOutError
from lab.resource_plugins.base.dispatch import Provider
from lab.resource_plugins.base.values import wrap
from lab.resource_plugins.command import dialling, remote
from lab.resource_plugins.command.connection import DEFAULTS, ConnectionInputError, with_defaults
from lab.resource_plugins.command.session import SetEnvironmentError
from lab.resource_plugins.command.transcript import CommandError


@dataclass
class Log:
    """The lines that the user sees."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, severity: str, line: str) -> None:
        """Record a line."""
        self.lines.append((severity, line))


@dataclass
class Server:
    """An SSH server in a thread; `seen` has the command, stdin and environment of each session."""

    port: int
    host_key: str
    private_key: str
    seen: list[dict[str, Any]]

    def connection(self, **other: Any) -> dict[str, Any]:
        """Return a `connection` to the server, with `other` fields; by default it is dialled once."""
        fields = {"host": "127.0.0.1", "port": self.port, "privateKey": self.private_key, "hostKey": self.host_key}
        return {**DEFAULTS, **fields, "dialErrorLimit": 0, **other}


def call(log: Log | None = None, timeout: float = math.inf) -> Call:
    return Call("command:remote:Command", "greet", None, timeout, log=log or Log())


@pytest.fixture(autouse=True)
def _no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    host_key, key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    seen: list[dict[str, Any]] = []
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(_listen(host_key, key, seen))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield Server(listening.get_port(), host_key.export_public_key().decode(), key.export_private_key().decode(), seen)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


async def _listen(host_key: asyncssh.SSHKey, key: asyncssh.SSHKey, seen: list[dict[str, Any]]) -> asyncssh.SSHAcceptor:
    async def behave(process: asyncssh.SSHServerProcess[str]) -> None:
        command = process.command or ""
        seen.append({"command": command, "stdin": await process.stdin.read(), "environment": dict(process.env)})
        process.stdout.write("first\nsecond\n")
        process.stderr.write("complaint\n")
        if command == "die":
            process.exit_with_signal("KILL")
        elif command == "dawdle":
            await asyncio.sleep(1)
            process.exit(0)
        else:
            process.exit(int(command.removeprefix("exit ")) if command.startswith("exit ") else 0)

    class Host(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("root", "open sesame")

        def connection_requested(self, *_: object) -> bool:
            return True

    return await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Host,
        server_host_keys=[host_key],
        authorized_client_keys=asyncssh.import_authorized_keys(key.export_public_key().decode()),
        process_factory=behave,
    )


def test_a_command_gets_its_stdin_and_returns_both_streams_as_outputs(server: Server) -> None:
    log = Log()
    inputs = {"connection": server.connection(), "create": "greet", "stdin": "a secret"}
    created = remote.COMMAND.create(call(log), inputs)
    assert isinstance(created, tuple)
    resource_id, outputs = created
    assert resource_id.startswith("greet")
    assert len(resource_id) == len("greet") + 8
    assert outputs == {"stdout": "first\nsecond", "stderr": "complaint"}
    assert server.seen[-1] == {"command": "greet", "stdin": "a secret", "environment": {}}
    assert sorted(log.lines) == [("info", "complaint"), ("info", "first"), ("info", "second")]


@pytest.mark.parametrize(
    ("logging", "shown"), [("none", []), ("stdout", ["first", "second"]), ("stderr", ["complaint"])]
)
def test_logging_selects_the_streams_that_are_shown(server: Server, logging: str, shown: list[str]) -> None:
    log = Log()
    remote.COMMAND.create(call(log), {"connection": server.connection(), "create": "greet", "logging": logging})
    assert [line for _, line in log.lines] == shown


def test_the_error_of_a_failed_command_has_its_status_its_text_and_all_output(server: Server) -> None:
    inputs = {"connection": server.connection(), "create": "exit 3", "logging": "none"}
    with pytest.raises(CommandError) as caught:
        remote.COMMAND.create(call(), inputs)
    first, *rest = str(caught.value).splitlines()
    assert first == 'Process exited with status 3: running "exit 3":'
    assert sorted(rest) == ["complaint", "first", "second"]


def test_the_error_of_a_killed_command_has_its_signal(server: Server) -> None:
    with pytest.raises(CommandError, match=r"^Process exited with status 137 from signal KILL"):
        remote.COMMAND.create(call(), {"connection": server.connection(), "create": "die"})


def test_an_update_runs_update_or_else_create_with_the_previous_outputs(server: Server) -> None:
    update = remote.COMMAND.update
    assert update is not None
    state = {"stdout": "before", "stderr": ""}
    inputs = {"connection": server.connection(), "create": "made", "update": "changed"}
    update(call(), "id", state, inputs, frozenset())
    assert server.seen[-1]["command"] == "changed"
    assert server.seen[-1]["environment"] == {"PULUMI_COMMAND_STDOUT": "before"}
    del inputs["update"]
    update(call(), "id", state, {**inputs, "addPreviousOutputInEnv": False}, frozenset())
    assert (server.seen[-1]["command"], server.seen[-1]["environment"]) == ("made", {})


def test_without_commands_nothing_is_dialled() -> None:
    inputs = {"connection": with_defaults({"host": "127.0.0.1", "port": 1, "dialErrorLimit": 0})}
    assert remote.COMMAND.create(call(), inputs)[1] == {"stdout": "", "stderr": ""}
    assert remote.COMMAND.delete is not None
    remote.COMMAND.delete(call(), "id", inputs)


def test_a_variable_that_the_server_refuses_fails_before_the_command_runs(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncssh.channel.SSHServerChannel, "_process_env_request", lambda *_: False)
    log = Log()
    ran = len(server.seen)
    inputs = {"connection": server.connection(), "create": "greet", "environment": {"NAME": "value"}}
    with pytest.raises(SetEnvironmentError, match=r'^could not set environment variable "NAME": ssh: setenv failed'):
        remote.COMMAND.create(call(log), inputs)
    assert len(server.seen) == ran
    assert "AcceptEnv" in log.lines[0][1]


def test_a_previous_output_that_the_server_refuses_is_only_a_warning(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncssh.channel.SSHServerChannel, "_process_env_request", lambda *_: False)
    log = Log()
    assert remote.COMMAND.update is not None
    inputs = {"connection": server.connection(), "create": "greet"}
    remote.COMMAND.update(call(log), "id", {"stdout": "before"}, inputs, frozenset())
    assert server.seen[-1]["command"] == "greet"
    assert [severity for severity, _ in log.lines].count("warning") == 1


def test_a_login_with_a_password_works(server: Server) -> None:
    connection = server.connection(privateKey=None, password="open sesame")  # noqa: S106 - of this test
    remote.COMMAND.create(call(), {"connection": connection, "create": "greet"})


def test_the_error_of_a_refused_login_names_the_attempted_methods(server: Server) -> None:
    unknown_key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(dialling.DialError) as caught:
        remote.COMMAND.create(call(), {"connection": server.connection(privateKey=unknown_key), "create": "greet"})
    assert str(caught.value) == (
        "after 0 failed attempts: ssh: handshake failed: ssh: unable to authenticate, attempted methods "
        "[none publickey], no supported methods remain"
    )


def another_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


def test_a_wrong_host_key_is_an_error_after_the_last_dial(server: Server) -> None:
    log = Log()
    connection = server.connection(hostKey=another_key(), dialErrorLimit=2)
    with pytest.raises(dialling.DialError) as caught:
        remote.COMMAND.create(call(log), {"connection": connection, "create": "greet"})
    assert str(caught.value) == "after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch"
    assert [line for _, line in log.lines] == ["Dial 1/2 failed: retrying", "Dial 2/2 failed: retrying"]


def test_without_a_pinned_key_every_host_key_is_accepted(server: Server) -> None:
    remote.COMMAND.create(call(), {"connection": server.connection(hostKey=None), "create": "greet"})


def test_an_encrypted_private_key_is_decrypted_with_its_passphrase(server: Server) -> None:
    # A passphrase of this test.
    key = asyncssh.import_private_key(server.private_key).export_private_key(passphrase="hush").decode()  # noqa: S106
    connection = server.connection(privateKey=key, privateKeyPassword="hush")
    remote.COMMAND.create(call(), {"connection": connection, "create": "greet"})
    wrong = {**connection, "privateKeyPassword": "loud"}
    with pytest.raises(ConnectionInputError, match=r"^x509: decryption password incorrect$"):
        remote.COMMAND.create(call(), {"connection": wrong, "create": "greet"})
    without = {**connection, "privateKeyPassword": None}
    with pytest.raises(ConnectionInputError, match=r"^ssh: this private key is passphrase protected$"):
        remote.COMMAND.create(call(), {"connection": without, "create": "greet"})


def test_a_command_goes_through_a_proxy_with_its_own_host_key(server: Server) -> None:
    remote.COMMAND.create(call(), {"connection": server.connection(proxy=server.connection()), "create": "greet"})
    wrong = server.connection(proxy=server.connection(hostKey=another_key()))
    with pytest.raises(dialling.DialError) as caught:
        remote.COMMAND.create(call(), {"connection": wrong, "create": "greet"})
    assert str(caught.value) == "proxy: after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch"
    silent = server.connection(port=1, proxy=server.connection())
    with pytest.raises(dialling.DialError, match=r"^proxy: after 0 failed attempts: ssh: rejected: connect failed \("):
        remote.COMMAND.create(call(), {"connection": silent, "create": "greet"})


@pytest.mark.parametrize(("limit", "reason"), [(0, "ssh: host key mismatch"), (2, "EOF")])
def test_behind_a_proxy_only_the_error_of_the_first_login_has_the_reason(
    server: Server, limit: int, reason: str
) -> None:
    connection = server.connection(hostKey=another_key(), dialErrorLimit=limit, proxy=server.connection())
    log = Log()
    with pytest.raises(dialling.DialError) as caught:
        remote.COMMAND.create(call(log), {"connection": connection, "create": "greet"})
    assert str(caught.value) == f"proxy: after {limit} failed attempts: ssh: handshake failed: {reason}"
    assert [line for _, line in log.lines] == [f"Dial {n}/{limit} failed: retrying" for n in range(1, limit + 1)]


def test_the_pauses_between_dials_grow_by_half_from_a_tenth_of_a_second_up_to_five(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def pause(_: Call, seconds: float) -> None:
        pauses.append(round(seconds, 3))

    monkeypatch.setattr(dialling, "_pause", pause)
    connection = with_defaults({"host": "127.0.0.1", "port": 1, "dialErrorLimit": 12})
    with pytest.raises(
        dialling.DialError, match=r"^after 12 failed attempts: dial tcp 127\.0\.0\.1:1: connect: connection"
    ):
        remote.COMMAND.create(call(), {"connection": connection, "create": "greet"})
    assert pauses == [0.1, 0.15, 0.225, 0.338, 0.506, 0.759, 1.139, 1.709, 2.563, 3.844, 5.0, 5.0]


def test_unlimited_dialling_ends_at_the_operations_timeout() -> None:
    connection = with_defaults({"host": "127.0.0.1", "port": 1, "dialErrorLimit": -1})
    with pytest.raises(TimedOutError, match=r"^context deadline exceeded$"):
        remote.COMMAND.create(call(timeout=0.3), {"connection": connection, "create": "greet"})


@pytest.mark.timeout(60)  # without the cancellation it would never end
def test_a_cancellation_ends_the_dialling(server: Server) -> None:
    running = call()
    threading.Timer(0.5, running.cancelled.set).start()
    connection = server.connection(port=1, dialErrorLimit=-1)
    with pytest.raises(CancelledError, match=r"^context canceled$"):
        remote.COMMAND.create(running, {"connection": connection, "create": "greet"})


def test_neither_a_cancellation_nor_the_timeout_ends_a_running_command(server: Server) -> None:
    running = call(timeout=0.1)
    running.cancelled.set()
    created = remote.COMMAND.create(running, {"connection": server.connection(), "create": "dawdle"})
    assert created[1] == {"stdout": "first\nsecond", "stderr": "complaint"}


@pytest.mark.timeout(60)
def test_no_limit_ends_the_wait_for_a_server_that_sends_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = with_defaults({"host": "127.0.0.1", "port": silent.getsockname()[1], "perDialTimeout": 1})
        running = call(timeout=0.1)
        errors: list[Exception] = []

        def create() -> None:
            try:
                remote.COMMAND.create(running, {"connection": connection, "create": "greet"})
            except dialling.DialError as error:
                errors.append(error)

        connection["dialErrorLimit"] = 0
        waiting = threading.Thread(target=create)
        waiting.start()
        running.cancelled.set()
        waiting.join(timeout=2)
        assert waiting.is_alive()
        taken, _ = silent.accept()
        taken.recv(1000)
        taken.close()
        waiting.join(timeout=120)
    assert [str(error) for error in errors] == ["after 0 failed attempts: ssh: handshake failed: EOF"]


def test_check_fills_in_the_connections_defaults() -> None:
    assert remote.COMMAND.check is not None
    inputs = {"connection": {"host": "gateway", "proxy": {"host": "jump", "port": 2222}}}
    checked = remote.COMMAND.check(call(), inputs)
    defaults = {"user": "root", "dialErrorLimit": 10, "perDialTimeout": 15}
    proxy = {"host": "jump", "port": 2222, **defaults}
    assert checked == {"connection": {"host": "gateway", "port": 22, **defaults, "proxy": proxy}}
    assert remote.COMMAND.check(call(), {"connection": UNKNOWN}) == {"connection": UNKNOWN}


@pytest.mark.parametrize(
    ("inputs", "where", "what"),
    [
        ({"connection": {"hots": "gateway"}}, "connection.hots", "it has: agentSocketPath, dialErrorLimit"),
        ({"connection": {"user": "root"}}, "connection.host", "needs 'host'"),
        ({"connection": {"host": "a", "proxy": {}}}, "connection.proxy.host", "needs 'host'"),
        ({"connection": "gateway"}, "connection", "not str"),
        ({"connection": {"host": "a"}, "logging": "both"}, "logging", "stdoutAndStderr"),
    ],
)
def test_check_returns_the_problems(inputs: dict[str, Any], where: str, what: str) -> None:
    assert remote.COMMAND.check is not None
    problems = remote.COMMAND.check(call(), inputs)
    assert isinstance(problems, list)
    assert any(path == where and what in reason for path, reason in problems)


@pytest.mark.parametrize(
    ("field_name", "value", "words"),
    [
        ("hostKey", "gateway.example", "failed to parse host key: ssh: no key found"),
        ("privateKey", "-----BEGIN NOTHING-----", "ssh: no key found"),
        ("agentSocketPath", "/nowhere/agent", "dial unix /nowhere/agent: connect: no such file or directory"),
    ],
)
def test_an_unusable_key_or_agent_fails_at_once(server: Server, field_name: str, value: str, words: str) -> None:
    field = {field_name: value, "dialErrorLimit": -1}
    for connection, prefix in (
        (server.connection(**field), ""),
        (server.connection(proxy=server.connection(**field)), "proxy: "),
    ):
        with pytest.raises(ConnectionInputError) as caught:
            remote.COMMAND.create(call(), {"connection": connection, "create": "greet"})
        assert str(caught.value) == prefix + words


def test_the_engines_cancellation_reaches_a_running_command() -> None:
    provider = Provider("command", [remote.COMMAND])
    running = provider._call("command:remote:Command", "greet", math.inf)
    asyncio.run(provider.cancel())
    assert running.cancelled.is_set()


def test_a_connection_is_always_secret() -> None:
    connection = wrap({"host": "gateway", "privateKey": "key"})
    urn = "urn:pulumi:test::inline::command:remote:Command::greet"
    request = CheckRequest(urn, {}, {"connection": connection}, b"")
    checked = asyncio.run(Provider("command", [remote.COMMAND]).check(request))
    assert checked.inputs is not None
    assert checked.inputs["connection"].is_secret


def test_only_triggers_replace() -> None:
    assert [name for name, rule in remote.COMMAND.inputs.items() if rule.replaces] == ["triggers"]


def test_a_preview_does_not_import_the_ssh_library() -> None:
    script = "import sys, lab.resource_plugins.command; sys.exit('asyncssh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
