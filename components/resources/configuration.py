"""The remote command that brings a running gateway the files that it is to have."""

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple
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

DESIRED = "/var/lib/vpn-gateway/desired.json"
"""Where `vpn-configure` finds the files that the gateway is to have, and their revision."""

UNFINISHED = "/var/lib/vpn-gateway/unfinished"
"""Tells a gateway that boots after a power cut that `vpn-configure` has not ended."""

_CHANGE_SECONDS = 300
"""Seconds that a change may take after the boot has ended."""


def revision_of(files: Sequence[File]) -> str:
    """Return a short name of a list of files: the same for the same paths, modes and texts, and for no other list.

    The name may be public. Files that contain secrets contain a private key, so their text cannot be guessed.
    """
    return sha256(json.dumps([astuple(file) for file in files]).encode()).hexdigest()[:12]


def configure_gateway(
    scope: Scope,
    login: Login,
    host: Host,
    *,
    files: pulumi.Output[Sequence[File]],
    programs: Sequence[File],
    depends_on: Sequence[pulumi.Resource],
) -> remote.Command:
    """Install `vpn-configure` (`programs`) on a gateway and let it apply `files`.

    The command runs again when one of them changes, and for another instance. A preview shows the lines that change.
    """
    hooks = pulumi.ResourceHookBinding(
        before_update=hook(scope.name("change-announced"), _announce(scope), ignore_errors=True)
    )
    unfinished = File(UNFINISHED, 0o600, "")
    own = pulumi.ResourceOptions(depends_on=list(depends_on), hooks=hooks)
    return run_on(
        login,
        host,
        scope.name("configure"),
        configure_script(wait=login.timeout),
        stdin=files.apply(lambda known_files: installer([*programs, desired(known_files), unfinished])),
        triggers=[host.instance.id],
        options=pulumi.ResourceOptions.merge(scope.options(), own),
    )


def desired(files: Sequence[File]) -> File:
    """Return the file that tells `vpn-configure` what the gateway is to have."""
    listed = [asdict(file) for file in files]
    return File(DESIRED, 0o600, json.dumps({"revision": revision_of(files), "files": listed}))


def configure_script(*, wait: int) -> str:
    """Return a POSIX shell script that runs the `installer` on its standard input, then `vpn-configure`.

    `vpn-configure` waits up to `wait` seconds for the end of the first boot, if it has anything to change.
    """
    most = wait + _CHANGE_SECONDS
    configure = limited("vpn-configure", f"--wait {wait}", most)
    return f"{INSTALL}{configure} {or_exit('vpn-configure', most)}"


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
    listed = json.loads(files[DESIRED].text)["files"]
    programs = [file for path, file in files.items() if path not in {DESIRED, UNFINISHED}]
    return [*programs, *(File(**each) for each in listed)]
