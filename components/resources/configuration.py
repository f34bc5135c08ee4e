"""The remote commands that bring a running gateway the files that it is to have."""

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from hashlib import sha256
from typing import Any

import pulumi
from pulumi.resource_hooks import ResourceHookFunction
from pulumi_command import remote

from ..decisions.file_changes import change_text
from ..decisions.files import File
from .hooks import hook, known
from .remote_commands import INSTALL, Host, Login, installed_files, installer, limited, or_exit, run_on
from .scope import Scope

NEXT = "/var/lib/vpn-gateway/next.json"
"""Where `vpn-configure` finds the files that the gateway is to have, and their revision."""

_CHANGE_SECONDS = 300
"""Seconds that a change may take after the boot has ended."""

_GROWTH_SECONDS = 300
"""Seconds that a larger root volume may take before the change: until it is seen, growpart, and resize2fs."""


def revision_of(files: Sequence[File]) -> str:
    """Return a short name of a list of files: the same for the same paths, modes and texts, and for no other list.

    The name may be public. Files that contain secrets contain a private key, so their text cannot be guessed.
    """
    return sha256(json.dumps([astuple(file) for file in files]).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The remote commands that bring a gateway its files: the second one runs after the first."""

    prepared: remote.Command
    configured: remote.Command


def configure_gateway(
    scope: Scope,
    login: Login,
    host: Host,
    *,
    files: pulumi.Output[Sequence[File]],
    revision: pulumi.Output[str],
    root_gib: int,
    programs: Sequence[File],
    depends_on: Sequence[pulumi.Resource],
    peers_prepared: Sequence[pulumi.Input[pulumi.Resource]],
) -> Configuration:
    """Install `programs` on a gateway, let `vpn-configure` check `files` and fetch their secrets, then apply them.

    The second command also waits for a root volume of `root_gib`, and grows the file system to it. It runs after the
    update of the instance, which makes the volume larger.

    `vpn-configure` is one of the programs. Nothing is applied before the peers are prepared too (`peers_prepared`,
    their commands). So a fault on one side leaves both as they were, and both change at the same time. A command runs
    again when the files change, and for another instance. A preview shows the lines that change.
    """
    hooks = pulumi.ResourceHookBinding(
        before_update=hook(scope.name("change-announced"), _announce(scope), ignore_errors=True)
    )
    own = pulumi.ResourceOptions(depends_on=list(depends_on), hooks=hooks)
    prepared = run_on(
        login,
        host,
        scope.name("prepare"),
        prepare_script(wait=login.timeout),
        stdin=files.apply(lambda known_files: installer([*programs, coming(known_files)])),
        triggers=[host.instance.id],
        options=pulumi.ResourceOptions.merge(scope.options(), own),
    )
    all_prepared = pulumi.ResourceOptions(depends_on=[prepared, *peers_prepared])
    configured = run_on(
        login,
        host,
        scope.name("configure"),
        revision.apply(lambda known: configure_script(known, root_gib=root_gib, wait=login.timeout)),
        triggers=[host.instance.id],
        options=pulumi.ResourceOptions.merge(scope.options(), all_prepared),
    )
    return Configuration(prepared=prepared, configured=configured)


def coming(files: Sequence[File]) -> File:
    """Return the file that tells `vpn-configure` what the gateway is to have."""
    listed = [asdict(file) for file in files]
    return File(NEXT, 0o600, json.dumps({"revision": revision_of(files), "files": listed}))


def prepare_script(*, wait: int) -> str:
    """Return a POSIX shell script that runs the `installer` on its standard input, then `vpn-configure --prepare`.

    `vpn-configure` waits up to `wait` seconds for the end of the first boot, if it has anything to change.
    """
    return f"{INSTALL}{_vpn_configure('--prepare', wait)}"


def configure_script(revision: str, *, root_gib: int, wait: int) -> str:
    """Return a POSIX shell script that lets `vpn-configure` apply what was prepared as this revision.

    It first makes use of a root volume of `root_gib`.
    """
    return _vpn_configure(f"--revision {revision} --root-volume {root_gib}", wait, _GROWTH_SECONDS)


def _vpn_configure(what: str, wait: int, more: int = 0) -> str:
    most = wait + _CHANGE_SECONDS + more
    return f"{limited('vpn-configure', f'--wait {wait} {what}', most)} {or_exit('vpn-configure', most)}"


def _announce(scope: Scope) -> ResourceHookFunction:
    async def announce(args: pulumi.ResourceHookArgs) -> None:
        before, after = await _files(args.old_inputs), await _files(args.new_inputs)
        # The text is unknown at preview if the other side gets a new address.
        if before is not None and after is not None and before != after:
            pulumi.log.info(f"{scope.site}-gateway changes in place:\n{change_text(before, after)}", scope.parent)

    return announce


async def _files(inputs: Any) -> list[File] | None:
    text = await known((inputs or {}).get("stdin"))
    if text is None:
        return None
    files = {file.path: file for file in installed_files(text)}
    listed = json.loads(files.pop(NEXT).text)["files"]
    programs = list(files.values())
    return [*programs, *(File(**each) for each in listed)]
