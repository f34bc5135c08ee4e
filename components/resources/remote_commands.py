"""Commands on a gateway or a probe host, over SSH: how long they dial, and what they run."""

import ast
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import pulumi
from pulumi_command import remote

from ..decisions.files import File
from .scope import HOST_USER

DIAL_SECONDS = 2
"""Limit of one dial over TCP. It is short, so that a silent address does not take much longer than one that refuses. It
leaves time for one retransmission, which TCP sends after one second (RFC 6298, 2.1).
"""

_INSTALL_SECONDS = 60

INSTALL = f"sudo timeout --kill-after=10 {_INSTALL_SECONDS} python3 - || exit\n"
"""Shell command that runs an `installer` on its standard input."""

_FIRST_DELAY, _BACK_OFF, _LONGEST_DELAY = 0.1, 1.5, 5.0
"""Seconds between the plugin's dials (pulumi/sdk, go/common/util/retry/until.go)."""

_FILES = "files = "

_INSTALL = """
import os, sys
try:
    for path, mode, text in files:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        draft = path + ".new"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            os.chmod(draft, mode)
        os.replace(draft, path)
    os.sync()
except OSError as error:
    sys.exit(f"{path} cannot be installed: {error}")
"""
"""Replaces each file by a rename, so that a program that runs at the same time never reads half a file."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine to log in to."""

    site: str
    address: pulumi.Input[str]
    instance: pulumi.CustomResource
    host_public_key: pulumi.Output[str] | None
    """None if it is not pinned. Probe hosts have no user data that could set it. The gateway before them is pinned."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to log in to the machines of a pair."""

    private_key: pulumi.Input[str]
    timeout: int
    """Seconds that SSH may take to answer."""


def dials(timeout: int) -> int:
    """Return the number of failed dials that take `timeout` seconds: the plugin's `dialErrorLimit`.

    After the last dial the plugin reports why that dial failed. With a time limit instead, it would report only
    `context deadline exceeded`. A refused dial takes no time, so the dials take at least `timeout`. A silent one takes
    `DIAL_SECONDS`, so they may take up to half as long again, plus 20 s.
    """
    count, waited, delay = 0, 0.0, _FIRST_DELAY
    while waited < timeout:
        count, waited, delay = count + 1, waited + delay, min(_BACK_OFF * delay, _LONGEST_DELAY)
    return count


def installer(files: Sequence[File]) -> str:
    """Return a Python program that writes files on a gateway; only root can read a file that is not written whole.

    Its first line has the files. `installed_files` reads them from it.
    """
    return f"{_FILES}{[astuple(file) for file in files]!a}\n{_INSTALL}"


def installed_files(program: str) -> list[File]:
    """Return the files that an `installer` writes."""
    return [File(*file) for file in ast.literal_eval(program.partition("\n")[0].removeprefix(_FILES))]


def limited(program: str, arguments: str, seconds: int) -> str:
    """Return the shell command that runs a program as root for so many seconds at most."""
    return f"sudo timeout --kill-after=10 {seconds} {program} {arguments}"


def or_exit(program: str, seconds: int) -> str:
    """Return what follows a `limited` command: if it failed, exit with its code, and say whether it hung."""
    return f"""|| {{
  code=$?
  case $code in 124 | 137) echo "{program} has not ended within {seconds} s: see the machine's system log" >&2 ;; esac
  exit "$code"
}}
"""


def run_on(
    login: Login,
    host: Host,
    name: str,
    script: pulumi.Input[str],
    *,
    stdin: pulumi.Input[str] | None = None,
    triggers: Sequence[pulumi.Input[str]],
    gateway: Host | None = None,
    options: pulumi.ResourceOptions,
) -> remote.Command:
    """Run a POSIX shell script on a host, through `gateway` if that is given, and again when a trigger changes."""
    own = pulumi.ResourceOptions(deleted_with=host.instance)
    return remote.Command(
        name,
        connection=_connection(login, host, gateway),
        create=script,
        stdin=stdin,
        triggers=list(triggers),
        # The stack's outputs have the output of a success, and the engine prints a failure whole.
        logging=remote.Logging.NONE,
        add_previous_output_in_env=False,
        # A custom timeout would end the dials without a reason, and would not end a running script.
        opts=pulumi.ResourceOptions.merge(options, own),
    )


def _connection(login: Login, host: Host, gateway: Host | None) -> remote.ConnectionArgs:
    return remote.ConnectionArgs(
        host=host.address,
        user=HOST_USER,
        private_key=login.private_key,
        host_key=host.host_public_key,
        # Behind a gateway the plugin uses one channel for all its logins, and a failed login closes it. So only the
        # first login can succeed or report a reason. The command on the gateway has waited for this host.
        dial_error_limit=dials(login.timeout) if gateway is None else 0,
        per_dial_timeout=DIAL_SECONDS,
        proxy=None if gateway is None else _proxy(login, gateway),
    )


def _proxy(login: Login, gateway: Host) -> remote.ProxyConnectionArgs:
    return remote.ProxyConnectionArgs(
        host=gateway.address,
        user=HOST_USER,
        private_key=login.private_key,
        host_key=gateway.host_public_key,
        dial_error_limit=dials(login.timeout),
        per_dial_timeout=DIAL_SECONDS,
    )
