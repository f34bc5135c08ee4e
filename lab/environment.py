"""The environment variables with which any Pulumi program uses the lab instead of AWS."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from lab import settings
from lab.engine import warm

# Variables that could override the account, endpoint or credentials below (AWS SDKs and Tools Reference Guide,
# "Settings reference").
_CLEARED = frozenset(
    {
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_DEFAULT_PROFILE",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_PROFILE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        # Overrides PULUMI_CONFIG_PASSPHRASE_FILE.
        "PULUMI_CONFIG_PASSPHRASE",
        # With it, each Python process of a command compiles every module that it imports.
        "PYTHONDONTWRITEBYTECODE",
    }
)
_PASSPHRASE = "lab"  # noqa: S105 - not secret: see _passphrase_file
_ENDPOINT = "AWS_ENDPOINT_URL"
_LOCAL = ("127.0.0.1", "localhost")


def variables(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the whole environment for a process that uses the lab, based on `inherited`."""
    kept = {name: value for name, value in inherited.items() if name not in _cleared(inherited)}
    return {**kept, **_assigned(inherited)}


def export_lines(inherited: Mapping[str, str] = os.environ) -> str:
    """Return shell lines that turn `inherited` into `variables(inherited)`: `unset NAME` and `export NAME=VALUE`."""
    unset = [f"unset {name}" for name in sorted(_cleared(inherited) & inherited.keys())]
    export = [f"export {name}={shlex.quote(value)}" for name, value in _assigned(inherited).items()]
    return "\n".join([*unset, *export])


def _assigned(inherited: Mapping[str, str]) -> dict[str, str]:
    settings.STATE.mkdir(parents=True, exist_ok=True)
    settings.BACKEND.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": _first(str(settings.BIN), inherited.get("PATH", os.defpath), os.pathsep),
        "PULUMI_HOME": str(settings.PULUMI_HOME),
        "PULUMI_BACKEND_URL": f"file://{settings.BACKEND}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase_file()),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        _ENDPOINT: settings.API_URL,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        warm.VARIABLE: inherited.get(warm.VARIABLE, str(settings.WARM_PLUGINS)),
        # Profiles in the user's own files may set endpoints and roles.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # Without these, gRPC and botocore send requests for the loopback address to a proxy.
        **{name: _without_proxy(inherited.get(name, "")) for name in ("NO_PROXY", "no_proxy")},
    }


def _cleared(inherited: Mapping[str, str]) -> frozenset[str]:
    """Return the variables to remove, including the endpoints of single services, which override the common one."""
    return _CLEARED | {name for name in inherited if name.startswith(f"{_ENDPOINT}_")}


def _first(entry: str, entries: str, separator: str) -> str:
    """Return `entries` with `entry` first and only once."""
    return separator.join([entry, *(other for other in entries.split(separator) if other != entry)])


def _without_proxy(hosts: str) -> str:
    kept = [host for host in hosts.split(",") if host]
    return ",".join([*kept, *(host for host in _LOCAL if host not in kept)])


def _passphrase_file() -> Path:
    """Return the file with the passphrase of the lab's state.

    The passphrase is not secret. It is constant because it belongs to the salt in Pulumi.lab.yaml; without that salt,
    `pulumi stack init` would add one to the checkout on every machine. It encrypts the keys of machines that exist only
    on this machine and only while the lab is up.
    """
    path = settings.STATE / "passphrase"
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(_PASSPHRASE)
        draft.replace(path)
    return path
