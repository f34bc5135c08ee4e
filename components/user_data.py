"""Settings and addresses -> the files of a gateway -> its user data. The only module that reads `userdata/`.

`userdata/` has text only, and its folders are file systems: `userdata/gateway/etc/ipsec.d/vpn.conf.j2` is a template of
the gateway's `/etc/ipsec.d/vpn.conf`.
"""

import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template

from .decisions.addressing import PRIVATE_NETWORKS
from .decisions.files import File
from .decisions.key_proof import key_connection
from .decisions.monitoring import NAMESPACE
from .decisions.problems import Problem
from .decisions.secrets import GivenSecrets, StoredSecrets
from .decisions.tunnel import (
    PROFILES,
    TCP_MSS,
    TUNNEL_MTU,
    ConnectionDecision,
    End,
    TunnelProfile,
    connect,
    tunnel_keywords,
)
from .decisions.updates import update_times
from .inputs.peer import PeerSettings
from .inputs.problems import SettingsError
from .inputs.room import inner_administrators
from .inputs.site import SiteSettings

USER_DATA_LIMIT: Final = 16384
"""Bytes of user data, gzip and before base64, that EC2 takes (Amazon EC2 API reference, RunInstances, UserData)."""

PUBLIC_ENDPOINT: Final = "sts.amazonaws.com"
"""Takes TCP connections on port 443 from everywhere (AWS General Reference, STS endpoints), without IAM rights."""

_HERE: Final = Path(__file__).parent
_TREE: Final = next(each for each in (_HERE / "userdata", _HERE.parent / "userdata") if each.is_dir())
"""In the wheel inside this package, in the checkout beside it."""

_SECRETS: Final = "/etc/vpn-gateway/secrets.json"

_LIBRARY: Final = "/usr/local/lib/vpn-gateway/"

_CONNECTIONS_READER: Final = "/usr/local/lib/vpn-configure/ipsec_conf.py"

_ORDER: Final = (
    *("/etc/vpn-gateway/gateway.json", _SECRETS, "/usr/local/sbin/vpn-sysctl"),
    *("/etc/vpn-gateway/routes", "/usr/local/sbin/vpn-filter", "/etc/vpn-gateway/filter.rules", "/etc/ipsec.d"),
    *("/etc/systemd/system", "/etc", "/usr/local/lib", "/usr/local/sbin/vpn-secrets", "/usr/local/sbin/vpn-boot"),
)
"""Beginnings of paths, in the order in which an operator reads the user data."""


_TUNNEL_FILES: Final = (
    "/etc/ipsec.d/",
    "/etc/systemd/system/ipsec.service.d/",
    "/etc/systemd/system/vpn-watch.service",
    "/etc/vpn-gateway/routes",
    *(f"/usr/local/lib/vpn-gateway/{name}.py" for name in ("expectations", "healing", "icmp", "ike_probe", "pluto")),
    "/usr/local/lib/vpn-gateway/vpn_watch.py",
)
"""Beginnings of the paths that a gateway without peers does not have."""


def gateway_files(
    *,
    local: End,
    connections: Sequence[ConnectionDecision],
    site_cidr_blocks: tuple[str, ...],
    administrator_cidr_blocks: tuple[str, ...],
    secrets: StoredSecrets | GivenSecrets,
    host_public_key: str,
) -> tuple[File, ...]:
    """Return the files of the gateway at `local`, in the order of the user data.

    `site_cidr_blocks` is everything at the site, also what no tunnel carries: the gateway is NAT for all of it.
    `administrator_cidr_blocks` is the part of the site and of the peers' ranges that may reach the gateway by SSH.
    """
    values = {
        "hostname": host_name(local.site),
        "local": local,
        "connections": connections,
        # One gateway has one profile, so these cannot disagree.
        "config_setup": {key: value for each in connections for key, value in each.profile.config_setup.items()},
        "peer_addresses": tuple(f"{each.peer.public_ip}/32" for each in connections),
        "remote_cidr_blocks": tuple(dict.fromkeys(block for each in connections for block in each.peer.cidr_blocks)),
        "site_cidr_blocks": site_cidr_blocks,
        "administrator_cidr_blocks": administrator_cidr_blocks,
        "private_cidr_blocks": PRIVATE_NETWORKS,
        "tcp_mss": TCP_MSS,
        "tunnel_mtu": TUNNEL_MTU,
        "internet_host": secrets.endpoint if isinstance(secrets, StoredSecrets) else PUBLIC_ENDPOINT,
        "internet_port": 443,
        "secrets": secrets.described(),
        "host_public_key": host_public_key.strip(),
    }
    files = _rendered("gateway", values)
    kept = (each for each in files if connections or not each.path.startswith(_TUNNEL_FILES))
    return tuple(sorted(kept, key=_place))


def site_files(
    site: SiteSettings,
    peers: Sequence[PeerSettings],
    profile: TunnelProfile,
    administrators: Sequence[IPv4Network],
    *,
    public_ip: str,
    peer_public_ips: Sequence[str],
    secrets: StoredSecrets | GivenSecrets,
    host_public_key: str,
) -> tuple[File, ...]:
    """Return the files of a site's gateway, whose public address is `public_ip`."""
    local = End(
        site=site.name,
        public_ip=public_ip,
        private_ip=str(site.gateway_private_ip),
        cidr_blocks=tuple(map(str, site.ranges)),
    )
    peer_ranges = [each for peer in peers for each in peer.ranges]
    remote = [
        End(
            site=peer.name,
            public_ip=peer_public_ip,
            private_ip=str(peer.private_ip or ""),
            cidr_blocks=tuple(map(str, peer.ranges)),
        )
        for peer, peer_public_ip in zip(peers, peer_public_ips, strict=True)
    ]
    return gateway_files(
        local=local,
        connections=[connect(local, end, profile, postquantum=secrets.postquantum) for end in remote],
        site_cidr_blocks=tuple(map(str, site.cidr_blocks)),
        administrator_cidr_blocks=tuple(map(str, inner_administrators(site, peer_ranges, administrators))),
        secrets=secrets,
        host_public_key=host_public_key,
    )


def key_files(
    site: str, public_ip: str, peer_public_ips: Mapping[str, str], profile: TunnelProfile, *, postquantum: bool
) -> tuple[File, ...]:
    """Return the file by which `vpn-verify` proves the pre-shared keys. `vpn-configure` brings it.

    `peer_public_ips` is name of a peer -> its public address. The user data has no room for the file. With IKEv1 there
    is none: IKEv1 finds the secret by the addresses, so a second connection between the same addresses would be
    ambiguous. And each of its rekeys authenticates.
    """
    if PROFILES[profile].ike_version == 1:
        return ()
    keywords = tunnel_keywords(profile, postquantum=postquantum)
    sections = [
        key_connection(site, peer, public_ip, peer_public_ip, keywords)
        for peer, peer_public_ip in peer_public_ips.items()
    ]
    return _rendered("key", {"sections": sections})


def login_files(keys: Sequence[str]) -> tuple[File, ...]:
    """Return the list of the keys that log in, and the setting by which no others do. `vpn-configure` brings them.

    `keys` are lines of public keys. The user data has no room for them: at the first boot EC2 brings the first one.
    """
    return _rendered("login", {"keys": list(dict.fromkeys(keys))})


def metrics_files(*, region: str, endpoint: str, dimensions: Mapping[str, str], detailed: bool) -> tuple[File, ...]:
    """Return the program that publishes metrics, and its settings. `vpn-configure` brings them.

    `endpoint` is the host name of CloudWatch in the gateway's region.
    """
    values = {
        "region": region,
        "endpoint": endpoint,
        "namespace": NAMESPACE,
        "dimensions": dimensions,
        "detailed": detailed,
    }
    return (*_rendered("metrics", values), *_library("vpn-metrics"))


def update_files(window: str | None) -> tuple[File, ...]:
    """Return the files by which a gateway updates itself in its window; none without one.

    `vpn-configure` brings them, because the user data has no room for them.
    """
    if window is None:
        return ()
    return (*_rendered("updates", {"updates": update_times(window)}), *_library("vpn-updates"))


def host_name(site: str) -> str:
    """Return the host name of a site's gateway."""
    return f"{site}-gateway"


def proof_files() -> tuple[File, ...]:
    """Return `vpn-verify` and its modules, which the proof installs.

    They include a copy of the module of `vpn-configure` that reads connections.
    """
    shared = (
        _file(path.replace("/vpn-configure/", "/vpn-verify/"), text)
        for path, text in _texts("configure")
        if path == _CONNECTIONS_READER
    )
    return (*(_file(path, text) for path, text in _texts("proof")), *_library("vpn-verify"), *shared)


def _library(program: str) -> Iterator[File]:
    """Yield copies of the gateway's modules for a program that may be of another release, or on a gateway without them.

    Those of `vpn-watch` alone are left out.
    """
    for path, text in _texts("gateway"):
        if path.startswith(_LIBRARY) and path.removeprefix(_LIBRARY) not in {"vpn_watch.py", "healing.py"}:
            yield _file(path.replace(_LIBRARY, f"/usr/local/lib/{program}/"), text)


def configure_files() -> tuple[File, ...]:
    """Return `vpn-configure`, which changes the files of a running gateway, and what it needs."""
    return tuple(_file(path, text) for path, text in _texts("configure"))


def cloud_config(hostname: str, files: Sequence[File]) -> str:
    """Return the cloud-config that writes the files and then boots the gateway."""
    return _render(_cloud_config(), {"hostname": hostname, "files": files})


def encode(text: str) -> str:
    """Return user data as an instance's `user_data_base64` takes it: base64 of gzip, which cloud-init unpacks.

    Raises SettingsError when it is larger than EC2 takes.
    """
    data = gzip.compress(text.encode(), mtime=0)
    if len(data) > USER_DATA_LIMIT:
        raise SettingsError("VPN gateway", [_too_large(len(data))])
    return base64.b64encode(data).decode()


def program_digest() -> str:
    """Return a digest of all text in the user data that does not depend on settings: of files and templates."""
    return sha256(json.dumps([*_texts("gateway"), _cloud_config()]).encode()).hexdigest()


def _texts(tree: str) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file in `userdata/<tree>`; those that end with `.j2` are templates."""
    for file in sorted((_TREE / tree).rglob("*")):
        path = file.relative_to(_TREE / tree)
        # Python writes __pycache__, and file managers and editors write hidden files. None is part of a gateway.
        if file.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.parts):
            yield f"/{path.as_posix()}", file.read_text(encoding="utf-8")


def _rendered(tree: str, values: Mapping[str, Any]) -> tuple[File, ...]:
    return tuple(
        _file(path.removesuffix(".j2"), _render(text, values) if path.endswith(".j2") else text)
        for path, text in _texts(tree)
    )


def _cloud_config() -> str:
    return (_TREE / "cloud-config.yaml.j2").read_text(encoding="utf-8")


def _file(path: str, text: str) -> File:
    return File(path=path, mode=0o600 if path == _SECRETS else 0o755 if text.startswith("#!") else 0o644, text=text)


def _place(file: File) -> tuple[int, str]:
    return next(number for number, start in enumerate(_ORDER) if file.path.startswith(start)), file.path


def _render(template: str, values: Mapping[str, Any]) -> str:
    return _compiled(template).render(values)


@cache
def _compiled(template: str) -> Template:
    return _environment.from_string(template)


def _too_large(size: int) -> Problem:
    return Problem(
        setting="psk, host_private_key, peers",
        value=f"{size} bytes of user data",
        rule=f"EC2 takes {USER_DATA_LIMIT}, after gzip",
        remedy="use secret_delivery ssm, or fewer ranges or peers",
    )


_environment: Final = Environment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701 - no HTML anywhere
)
_environment.filters["json"] = json.dumps
