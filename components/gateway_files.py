"""The files of a gateway as Outputs: those of its first boot, its user data, and those that it has later."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pulumi
from pulumi_aws import ec2

from .decisions.arn import region_of, service_host
from .decisions.files import File
from .decisions.monitoring import MetricSet, gateway_dimensions
from .inputs.peer_addresses import check_public_ips
from .inputs.settings import GatewaySettings
from .resources.kept import keep
from .resources.scope import Scope
from .resources.secrets import Delivery, SshKey
from .user_data import cloud_config, encode, host_name, key_files, login_files, metrics_files, site_files, update_files


def boot_files(
    settings: GatewaySettings,
    *,
    public_ip: pulumi.Output[str],
    peer_public_ips: Sequence[pulumi.Input[str]],
    delivery: Delivery,
    host_key: SshKey,
) -> pulumi.Output[tuple[File, ...]]:
    """Return the files of a gateway's first boot. The Output fails when an address is refused, once it is known."""

    def render(known: dict[str, Any]) -> tuple[File, ...]:
        check_public_ips(settings, known["public_ip"], known["peer_public_ips"])
        return site_files(
            settings.site,
            settings.peers,
            settings.profile,
            settings.administrator_cidr_blocks,
            public_ip=known["public_ip"],
            peer_public_ips=known["peer_public_ips"],
            secrets=known["secrets"],
            host_public_key=known["host_public_key"],
        )

    return pulumi.Output.all(
        public_ip=public_ip,
        peer_public_ips=pulumi.Output.all(*peer_public_ips),
        secrets=delivery.secrets,
        host_public_key=host_key.public,
    ).apply(render)


def running_files(
    settings: GatewaySettings,
    public_ip: pulumi.Output[str],
    peer_public_ips: Sequence[pulumi.Input[str]],
    interface: ec2.NetworkInterface,
    files: pulumi.Output[tuple[File, ...]],
    *,
    login_keys: Sequence[pulumi.Output[str]],
) -> pulumi.Output[tuple[File, ...]]:
    """Return the files that a running gateway is to have: those of its first boot, and what came after it.

    `login_keys` are the lines of the public keys that log in.
    """
    updates = update_files(settings.site.update_window)

    def key(known: dict[str, Any]) -> tuple[File, ...]:
        names = (peer.name for peer in settings.peers)
        addresses = dict(zip(names, known["peer_public_ips"], strict=True))
        return key_files(
            settings.site.name, known["public_ip"], addresses, settings.profile, postquantum=settings.ppk is not None
        )

    def login(known: dict[str, Any]) -> tuple[File, ...]:
        return login_files(known["login_keys"])

    def metrics(known: dict[str, Any]) -> tuple[File, ...]:
        return metrics_files(
            region=region_of(known["interface_arn"]),
            endpoint=service_host("monitoring", known["interface_arn"]),
            dimensions=gateway_dimensions(host_name(settings.site.name), known["interface_id"]),
            detailed=settings.monitoring is not None and settings.monitoring.metrics is MetricSet.DETAILED,
        )

    more = [
        *([key] if settings.proves_key else []),
        *([login] if settings.changes_in_place else []),
        *([metrics] if settings.monitoring is not None else []),
    ]
    if not more:
        return files.apply(lambda known: (*known, *updates))
    return pulumi.Output.all(
        public_ip=public_ip,
        peer_public_ips=pulumi.Output.all(*peer_public_ips),
        files=files,
        login_keys=pulumi.Output.all(*login_keys),
        **({} if settings.monitoring is None else {"interface_id": interface.id, "interface_arn": interface.arn}),
    ).apply(lambda known: (*known["files"], *(file for later in more for file in later(known)), *updates))


def user_data(scope: Scope, settings: GatewaySettings, files: pulumi.Output[tuple[File, ...]]) -> pulumi.Output[str]:
    """Return the user data of the next instance."""
    text = files.apply(lambda known: cloud_config(host_name(settings.site.name), known))
    if settings.changes_in_place:
        return text.apply(encode)
    # Implementations of zlib compress the same text to different bytes, and other bytes would replace the instance.
    digest = text.apply(lambda known: sha256(known.encode()).hexdigest())
    return keep(scope, "user-data", text.apply(encode), again_for=digest)
