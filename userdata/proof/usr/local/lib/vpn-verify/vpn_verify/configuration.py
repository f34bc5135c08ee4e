"""The layer `configuration`: whether what runs is what was deployed."""

import json
from collections.abc import Callable
from typing import Any

import ipsec_conf
from vpn_verify.layer import FinalError, LayerError

DEPLOYED = "/var/lib/vpn-gateway/deployed.json"
"""What vpn-configure has put in place."""

Disk = Callable[[str], tuple[int, str] | None]
"""Returns mode and text of a file; None when there is none."""


def configuration(deployed: str, wanted: str, disk: Disk, status: str) -> str:
    """Check that files and connections are those of the deployed list.

    `deployed` is its text (empty: none), `wanted` the revision that it must have (empty: any), and `status` is
    `whack --status`.
    """
    if not deployed and not wanted:
        return "as the user data wrote it"
    data = _parsed(deployed) if deployed else {}
    revision = data.get("revision", "")
    if wanted and revision != wanted:
        raise FinalError(f"{f'revision {revision}' if revision else 'no revision'} is deployed, not {wanted}")
    files = data["files"]
    for file in files:
        if problem := _difference(file, disk(file["path"])):
            raise FinalError(f"{file['path']} {problem} revision {revision}")
    conf = ipsec_conf.parse("\n".join(file["text"] for file in files if file["path"] in ipsec_conf.PATHS))
    if problem := ipsec_conf.difference(conf, ipsec_conf.loaded(status)):
        raise LayerError(f"not as revision {revision}: {problem}")
    return f"revision {revision}, {len(files)} files, {len(conf.connections)} connections"


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
        return {"revision": data["revision"], "files": list(data["files"])}
    except (ValueError, KeyError, TypeError) as error:
        raise FinalError(f"{DEPLOYED} is not a list of files ({type(error).__name__})") from None


def _difference(wanted: dict[str, Any], found: tuple[int, str] | None) -> str:
    """Return how a file differs. Never shows any of its text, which may be a secret."""
    if found is None:
        return "is missing, and is in"
    mode, text = found
    if text != wanted["text"]:
        return "has another text than in"
    return f"has mode {mode:o}, not the {wanted['mode']:o} of" if mode != wanted["mode"] else ""
