"""VpnGatewayPair: two sites, one tunnel, the proof."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random
from pulumi_command import remote

from .inputs.arguments import VpnGatewayPairArgs
from .inputs.psk import GENERATED_PSK_CHARACTERS
from .inputs.settings import PairSettings, pair_settings
from .inputs.site import Placement, SiteSettings
from .outputs import SiteOutputs
from .resources.monitoring import create_dashboard
from .resources.proof import Proof, Route, ping_from, verify_gateway
from .resources.remote_commands import Host, Login
from .resources.secrets import callers_ssh_key, generated_ssh_key, public_key_line
from .user_data import proof_files
from .vpn_gateway import VpnGateway


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a pair."""

    resource_name: str
    site: SiteSettings
    placement: Placement


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Values that both sides share."""

    settings: PairSettings
    psk: pulumi.Output[str]
    ppk: pulumi.Output[str] | None
    ssh_private_key: pulumi.Output[str] | None
    ssh_public_key: pulumi.Output[str]


class VpnGatewayPair(pulumi.ComponentResource):
    """Two private networks in two AWS regions, joined by a pair of small gateways that are both NAT and IPsec.

    The component creates an `aws` provider and a `VpnGateway` for each side, pre-shared keys and an SSH key unless
    they are arguments, and, with `verify`, remote commands that fail unless packets cross the tunnel in both
    directions.
    """

    left: SiteOutputs
    """The left site."""

    right: SiteOutputs
    """The right site."""

    profile: pulumi.Output[str]
    """How the tunnel is negotiated and encrypted: `modern` or `article-2014`."""

    ssh_private_key: pulumi.Output[str] | None
    """SSH key of the user `admin` on the gateways and probe hosts; secret. Absent if only `ssh_public_key` is set."""

    verification: pulumi.Output[dict[str, str]]
    """Output of each command of the proof, e.g. `verify-uk` (the JSON of `vpn-verify`) and `ping-uk`. Empty without
    `verify`.
    """

    rotate_command: pulumi.Output[str]
    """How to change the pre-shared keys. With `verify`, the running gateways take it without an outage; otherwise the
    instances of both are replaced, and the tunnel is down while they boot.
    """

    def __init__(self, name: str, args: VpnGatewayPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = pair_settings(name, args)
        super().__init__("vpn-gateway-pair:index:VpnGatewayPair", name, None, opts)
        private_key, public_key = _ssh_key(self, name, settings)
        psk, ppk, self.rotate_command = _pre_shared_keys(self, name, settings)
        shared = Shared(settings=settings, psk=psk, ppk=ppk, ssh_private_key=private_key, ssh_public_key=public_key)
        left_side, right_side = _sides(name, settings)
        # Each gateway needs the Elastic IP of the other, and the command that prepares its changes, so one of the two
        # is an Output that is resolved later.
        left_later: pulumi.Output[VpnGateway]
        resolve_left: Callable[[pulumi.Output[VpnGateway]], None]
        left_later, resolve_left = pulumi.deferred_output()
        try:
            right = _gateway(self, shared, right_side, left_side, left_later)
            left = _gateway(self, shared, left_side, right_side, pulumi.Output.from_input(right))
        except BaseException as error:
            # An Output that is never resolved would keep the program, and so the engine, waiting for ever.
            resolve_left(_broken(error))
            raise
        resolve_left(pulumi.Output.from_input(left))
        self.left = left.site_outputs()
        self.right = right.site_outputs()
        self.profile = pulumi.Output.from_input(settings.profile.value)
        self.ssh_private_key = shared.ssh_private_key
        commands = _verification(self, name, shared, left, right)
        reports: dict[str, Any] = {key: command.stdout for key, command in commands.items()}
        self.verification = pulumi.Output.from_input(reports)
        _monitor(name, settings, left, right, depends_on=[*commands.values()])
        outputs: dict[str, Any] = {
            "left": self.left,
            "right": self.right,
            "profile": self.profile,
            "ssh_private_key": self.ssh_private_key,
            "verification": self.verification,
            "rotate_command": self.rotate_command,
        }
        self.register_outputs({key: value for key, value in outputs.items() if value is not None})


def _broken(error: BaseException) -> pulumi.Output[VpnGateway]:
    async def fail() -> VpnGateway:
        raise error

    return pulumi.Output.from_input(fail())


def _pre_shared_keys(
    parent: pulumi.Resource, name: str, settings: PairSettings
) -> tuple[pulumi.Output[str], pulumi.Output[str] | None, pulumi.Output[str]]:
    """Return the pre-shared key, the postquantum one if the tunnel uses it, and how to change them."""
    given = {"psk": settings.psk, **({"ppk": settings.ppk} if settings.postquantum else {})}
    generated = {key: _generated_key(parent, f"{name}-{key}") for key, value in given.items() if value is None}
    keys = {
        key: pulumi.Output.secret(generated[key].result if value is None else value) for key, value in given.items()
    }
    others = [key for key in given if key not in generated]
    change = f"give another {' and another '.join(others)}, then: " if others else ""
    replaced = [pulumi.Output.concat(" --replace '", each.urn, "'") for each in generated.values()]
    return keys["psk"], keys.get("ppk"), pulumi.Output.concat(change, "pulumi up", *replaced)


def _generated_key(parent: pulumi.Resource, name: str) -> random.RandomPassword:
    # RandomBytes would leak the key: its id is the bytes themselves, and a state encrypts no ids.
    return random.RandomPassword(
        name,
        length=GENERATED_PSK_CHARACTERS,
        special=False,
        opts=pulumi.ResourceOptions(parent=parent, additional_secret_outputs=["result", "bcrypt_hash"]),
    )


def _ssh_key(
    parent: pulumi.Resource, name: str, settings: PairSettings
) -> tuple[pulumi.Output[str] | None, pulumi.Output[str]]:
    """Return the private and the public half of the key to log in with: the caller's, or a generated one."""
    private, public = settings.ssh_private_key, settings.ssh_public_key
    if public is not None and private is None:
        return None, public_key_line("ssh_public_key", public)
    if public is not None and private is not None:
        key = callers_ssh_key("ssh", private, public)
    else:
        key = generated_ssh_key(f"{name}-ssh-key", pulumi.ResourceOptions(parent=parent))
    return key.private, key.public


def _provider(parent: pulumi.Resource, name: str, placement: Placement) -> aws.Provider:
    role = placement.assume_role_arn
    return aws.Provider(
        name,
        region=placement.region,
        profile=placement.aws_profile,
        assume_roles=None if role is None else [aws.ProviderAssumeRoleArgs(role_arn=role)],
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _sides(name: str, settings: PairSettings) -> tuple[Side, Side]:
    left, right = settings.left, settings.right
    return (
        Side(resource_name=f"{name}-{left.name}", site=left, placement=settings.left_placement),
        Side(resource_name=f"{name}-{right.name}", site=right, placement=settings.right_placement),
    )


def _gateway(
    pair: VpnGatewayPair, shared: Shared, side: Side, peer: Side, peer_gateway: pulumi.Output[VpnGateway]
) -> VpnGateway:
    """Create the provider of one side and, with it, the side's `VpnGateway`."""
    provider = _provider(pair, f"{side.resource_name}-aws", side.placement)
    settings = shared.settings.gateway(
        side.site,
        peer.site,
        peer_public_ip=peer_gateway.apply(lambda gateway: gateway.public_ip),
        psk=shared.psk,
        ppk=shared.ppk,
        ssh_public_key=shared.ssh_public_key,
        ssh_private_key=shared.ssh_private_key,
    )
    options = pulumi.ResourceOptions(parent=pair, providers={"aws": provider})
    peer_prepared = peer_gateway.apply(lambda gateway: gateway.prepared)
    return VpnGateway.of_settings(side.resource_name, settings, options, peers_prepared=[peer_prepared])


def _verification(
    pair: VpnGatewayPair, name: str, shared: Shared, left: VpnGateway, right: VpnGateway
) -> dict[str, remote.Command]:
    """Create the commands of the proof, which run on both sides at once; return them by their names."""
    settings, private_key = shared.settings, shared.ssh_private_key
    if not settings.verify or private_key is None:
        return {}
    machines = [each for side in (left, right) for each in (side.instance, side.probe_host) if each is not None]
    proof = Proof(
        parent=pair,
        resource_name=name,
        login=Login(private_key=private_key, timeout=settings.verify_timeout_seconds),
        triggers=[*(each.id for each in machines), *left.path, *right.path],
        files=proof_files(),
        is_monitored=settings.left_monitoring is not None,
    )
    sites = ((settings.left, left), (settings.right, right))
    hosts = {site.name: _gateway_host(site, gateway) for site, gateway in sites}
    pinged = {site.name: str(site.probe_host_private_ip) for site, _ in sites if site.probe_host_private_ip is not None}
    if len(pinged) < len(sites):
        pinged = {}
    # Both sides have their new configuration before either is asked whether the tunnel carries packets.
    configured = [each.configured for each in (left, right) if each.configured is not None]
    commands = {
        f"verify-{site.name}": verify_gateway(
            proof,
            hosts[site.name],
            revision=gateway.revision,
            probe_host=pinged.get(site.name),
            depends_on=configured,
        )
        for site, gateway in sites
    }
    both = list(commands.values())
    for (here, gateway), (there, _) in (sites, sites[::-1]):
        if here.name not in pinged or gateway.probe_host is None:
            continue
        probe_host = Host(site=here.name, address=pinged[here.name], instance=gateway.probe_host, host_public_key=None)
        # After the proof of both gateways: if only the ping fails, the fault is behind the tunnel.
        route = Route(
            site=here.name,
            gateway=str(here.gateway_private_ip),
            peer_site=there.name,
            peer_gateway=str(there.gateway_private_ip),
            target=pinged[there.name],
        )
        commands[f"ping-{here.name}"] = ping_from(
            proof,
            probe_host,
            route,
            gateway=hosts[here.name],
            revisions=[left.revision, right.revision],
            depends_on=both,
        )
    return commands


def _monitor(
    name: str, settings: PairSettings, left: VpnGateway, right: VpnGateway, *, depends_on: Sequence[pulumi.Resource]
) -> None:
    """Create the alarms of both sides, and one dashboard in the account of the left one. A dashboard has no region."""
    shown = [each for gateway in (left, right) if (each := gateway.monitor(depends_on)) is not None]
    if settings.left_monitoring is not None and settings.left_monitoring.dashboard:
        create_dashboard(f"{name}-dashboard", shown, pulumi.ResourceOptions(parent=left))


def _gateway_host(site: SiteSettings, gateway: VpnGateway) -> Host:
    return Host(
        site=site.name,
        address=gateway.public_ip,
        instance=gateway.instance,
        host_public_key=gateway.ssh_host_public_key,
    )
