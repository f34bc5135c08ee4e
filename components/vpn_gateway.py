"""VpnGateway: one regional site - network, gateway, its identity (EIP + ENI), its disposable instance."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi_aws import ec2

from .addressing import subnet_of
from .arguments import SecretDelivery, VpnGatewayArgs
from .gateway_secrets import (
    Delivery,
    SshKey,
    checked_psk,
    generated_ssh_key,
    given_ssh_key,
    inline_secrets,
    stored_secrets,
)
from .gateway_user_data import gateway_user_data
from .images import image_id
from .machines import create_gateway, create_probe_host
from .scope import HOST_USER, Scope
from .security_groups import create_gateway_group, create_private_hosts_group
from .settings import GatewaySettings, gateway_settings
from .site_network import ANYWHERE, SiteNetwork, create_network
from .tunnel import PROFILES, End, connect, connection_name


class SiteOutputs(TypedDict):
    """What another resource may need of one site."""

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""

    public_subnet_id: pulumi.Output[str]
    """Id of the gateway's subnet."""

    private_subnet_ids: pulumi.Output[list[str]]
    """Ids of the private subnets, in the order of their CIDR blocks in the arguments."""

    public_route_table_id: pulumi.Output[str]
    """Id of the public subnet's route table: the Internet gateway, and never the peer's network."""

    private_route_table_ids: pulumi.Output[list[str]]
    """Ids of the route tables whose default route is the gateway's interface."""

    network_interface_id: pulumi.Output[str]
    """Id of the gateway's ENI, which outlives its instance: the target for routes of one's own."""

    public_ip: pulumi.Output[str]
    """The gateway's Elastic IP, which outlives its instance."""

    private_ip: pulumi.Output[str]
    """The gateway's private IPv4 address."""

    gateway_security_group_id: pulumi.Output[str]
    """Id of the gateway's own security group."""

    private_hosts_security_group_id: pulumi.Output[str]
    """Id of a security group for private hosts: admits their own VPC and the networks of the peers."""

    instance_id: pulumi.Output[str]
    """Id of the gateway's instance; changes when it is replaced."""

    probe_host_instance_id: NotRequired[pulumi.Output[str]]
    """Id of the probe host's instance; absent when there is none."""

    connection_names: pulumi.Output[list[str]]
    """Names of the IPsec connections on the gateway, e.g. `uk-to-au`."""

    ssh_command: pulumi.Output[str]
    """How to log in to the gateway, with the private key in the file `KEY`."""

    ssh_host_public_key: pulumi.Output[str]
    """The gateway's SSH host key, one line."""


class VpnGateway(pulumi.ComponentResource):
    """One site with a gateway that is NAT for its private subnets and IPsec towards its peers.

    The region is that of the `aws` provider given by `opts.providers`. Creates a VPC with a public and private
    subnets, an Internet gateway, two route tables, security groups for the gateway and for private hosts, an ENI with a
    fixed private address and an Elastic IP, an IAM role and two SSM parameters (with `secret_delivery: ssm`), a key
    pair, the gateway's instance and, if asked for, a probe host. The ENI and the Elastic IP are the gateway's identity
    and outlive the instance.
    """

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""

    public_subnet_id: pulumi.Output[str]
    """Id of the gateway's subnet."""

    private_subnet_ids: pulumi.Output[list[str]]
    """Ids of the private subnets, in the order of their CIDR blocks in the arguments."""

    public_route_table_id: pulumi.Output[str]
    """Id of the public subnet's route table: the Internet gateway, and never the peer's network."""

    private_route_table_ids: pulumi.Output[list[str]]
    """Ids of the route tables whose default route is the gateway's interface."""

    network_interface_id: pulumi.Output[str]
    """Id of the gateway's ENI, which outlives its instance: the target for routes of one's own."""

    public_ip: pulumi.Output[str]
    """The gateway's Elastic IP, which outlives its instance."""

    private_ip: pulumi.Output[str]
    """The gateway's private IPv4 address."""

    gateway_security_group_id: pulumi.Output[str]
    """Id of the gateway's own security group."""

    private_hosts_security_group_id: pulumi.Output[str]
    """Id of a security group for private hosts: admits their own VPC and the networks of the peers."""

    instance_id: pulumi.Output[str]
    """Id of the gateway's instance; changes when it is replaced."""

    probe_host_instance_id: pulumi.Output[str] | None
    """Id of the probe host's instance; absent when there is none."""

    connection_names: pulumi.Output[list[str]]
    """Names of the IPsec connections on the gateway, e.g. `uk-to-au`."""

    ssh_command: pulumi.Output[str]
    """How to log in to the gateway, with the private key in the file `KEY`."""

    ssh_host_public_key: pulumi.Output[str]
    """The gateway's SSH host key, one line."""

    def __init__(self, name: str, args: VpnGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = gateway_settings(name, args)
        super().__init__("vpn-gateway-pair:index:VpnGateway", name, None, opts)
        scope = Scope(parent=self, resource_name=name, site=settings.site.name, common_tags=settings.tags)
        _warn(self, settings)
        network = create_network(scope, settings.site)
        peer_public_ips = [peer["public_ip"] for peer in args["peers"]]
        gateway_group, way_out = create_gateway_group(scope, network, settings, peer_public_ips)
        private_group = create_private_hosts_group(scope, network, settings)
        interface, elastic_ip, association = _identity(scope, settings, network, gateway_group)
        host_key = _host_key(scope, args)
        delivery = _delivery(scope, settings, args, host_key)
        image = image_id(scope, settings.site)
        key_pair = _key_pair(scope, args)
        user_data = _user_data(settings, elastic_ip.public_ip, peer_public_ips, delivery, host_key)
        self._instance = create_gateway(
            scope,
            settings.site,
            image=image,
            key_pair=key_pair,
            interface=interface,
            instance_profile=delivery.instance_profile,
            user_data=user_data,
            needed_at_boot=(association, way_out, *network.way_out, *delivery.needed_at_boot),
        )
        self._probe_host = _probe_host(scope, settings, network, image=image, key_pair=key_pair, group=private_group)
        self.vpc_id = network.vpc.id
        self.public_subnet_id = network.public_subnet.id
        self.private_subnet_ids = pulumi.Output.all(*(subnet.id for _, subnet in network.private_subnets))
        self.public_route_table_id = network.public_routes.id
        self.private_route_table_ids = pulumi.Output.all(network.private_routes.id)
        self.network_interface_id = interface.id
        self.public_ip = elastic_ip.public_ip
        self.private_ip = pulumi.Output.from_input(str(settings.site.gateway_address))
        self.gateway_security_group_id = gateway_group.id
        self.private_hosts_security_group_id = private_group.id
        self.instance_id = self._instance.id
        self.probe_host_instance_id = None if self._probe_host is None else self._probe_host.id
        self.connection_names = pulumi.Output.from_input(_connection_names(settings))
        self.ssh_command = pulumi.Output.concat("ssh -i KEY ", HOST_USER, "@", elastic_ip.public_ip)
        self.ssh_host_public_key = host_key.public
        self.register_outputs({**self.site_outputs()})

    @property
    def instance(self) -> ec2.Instance:
        """The gateway's instance, to depend on."""
        return self._instance

    @property
    def probe_host(self) -> ec2.Instance | None:
        """The probe host, to depend on."""
        return self._probe_host

    def site_outputs(self) -> SiteOutputs:
        """Return the outputs as one mapping; each is known, or not, on its own."""
        present: Any = {
            name: value for name in SiteOutputs.__annotations__ if (value := getattr(self, name)) is not None
        }
        outputs: SiteOutputs = present
        return outputs


def _warn(component: VpnGateway, settings: GatewaySettings) -> None:
    weaknesses = PROFILES[settings.profile].weaknesses
    if weaknesses is not None:
        pulumi.log.warn(f"profile {settings.profile.value} is weak: {weaknesses}. Use modern.", component)
    if settings.secret_delivery is SecretDelivery.USER_DATA:
        cost = "whoever may call ec2:DescribeInstanceAttribute, and every process on the gateway, can read its secrets"
        pulumi.log.warn(f"secret_delivery user-data: {cost}. Use ssm.", component)


def _identity(
    scope: Scope, settings: GatewaySettings, network: SiteNetwork, group: ec2.SecurityGroup
) -> tuple[ec2.NetworkInterface, ec2.Eip, ec2.EipAssociation]:
    """Create what stays when the instance goes: interface, Elastic IP, and the private subnets' way to it."""
    interface = ec2.NetworkInterface(
        scope.name("gateway-interface"),
        subnet_id=network.public_subnet.id,
        private_ips=[str(settings.site.gateway_address)],
        security_groups=[group.id],
        # It forwards what is addressed to others: that is what a gateway is for.
        source_dest_check=False,
        tags=scope.tags("gateway-interface"),
        opts=scope.options(),
    )
    elastic_ip = ec2.Eip(
        scope.name("gateway-address"), domain="vpc", tags=scope.tags("gateway-address"), opts=scope.options()
    )
    association = ec2.EipAssociation(
        scope.name("gateway-address-association"),
        allocation_id=elastic_ip.allocation_id,
        network_interface_id=interface.id,
        # AWS associates no address in a VPC without an Internet gateway, and detaches none while an address is there.
        opts=scope.options([network.internet_gateway]),
    )
    ec2.Route(
        scope.name("private-default-route"),
        route_table_id=network.private_routes.id,
        destination_cidr_block=ANYWHERE,
        network_interface_id=interface.id,
        opts=scope.options(),
    )
    return interface, elastic_ip, association


def _host_key(scope: Scope, args: VpnGatewayArgs) -> SshKey:
    private, public = args.get("host_private_key"), args.get("host_public_key")
    if private is not None and public is not None:
        return given_ssh_key(private, public)
    return generated_ssh_key(scope.name("host-key"), scope.options())


def _delivery(scope: Scope, settings: GatewaySettings, args: VpnGatewayArgs, host_key: SshKey) -> Delivery:
    psk = checked_psk(args["psk"])
    if settings.secret_delivery is SecretDelivery.USER_DATA:
        return inline_secrets(psk, host_key)
    return stored_secrets(scope, psk, host_key)


def _key_pair(scope: Scope, args: VpnGatewayArgs) -> ec2.KeyPair:
    return ec2.KeyPair(
        scope.name("key-pair"), public_key=args["ssh_public_key"], tags=scope.tags("key-pair"), opts=scope.options()
    )


def _user_data(
    settings: GatewaySettings,
    public_ip: pulumi.Output[str],
    peer_public_ips: Sequence[pulumi.Input[str]],
    delivery: Delivery,
    host_key: SshKey,
) -> pulumi.Output[str]:
    def render(known: dict[str, Any]) -> str:
        local = _local_end(settings, known["public_ip"])
        ends = zip(settings.peers, known["peer_public_ips"], strict=True)
        peers = [
            End(
                site=peer.name,
                public_ip=peer_public_ip,
                private_ip=str(peer.private_address),
                cidr_blocks=tuple(map(str, peer.networks)),
            )
            for peer, peer_public_ip in ends
        ]
        return gateway_user_data(
            hostname=f"{settings.site.name}-gateway",
            local=local,
            connections=[connect(local, peer, settings.profile) for peer in peers],
            secrets=known["secrets"],
            host_public_key=known["host_public_key"],
        )

    return pulumi.Output.all(
        public_ip=public_ip,
        peer_public_ips=pulumi.Output.all(*peer_public_ips),
        secrets=delivery.secrets,
        host_public_key=host_key.public,
    ).apply(render)


def _local_end(settings: GatewaySettings, public_ip: str) -> End:
    site = settings.site
    private_ip, cidr_blocks = str(site.gateway_address), (str(site.vpc),)
    return End(site=site.name, public_ip=public_ip, private_ip=private_ip, cidr_blocks=cidr_blocks)


def _connection_names(settings: GatewaySettings) -> list[str]:
    return [connection_name(settings.site.name, peer.name) for peer in settings.peers]


def _probe_host(
    scope: Scope,
    settings: GatewaySettings,
    network: SiteNetwork,
    *,
    image: pulumi.Input[str],
    key_pair: ec2.KeyPair,
    group: ec2.SecurityGroup,
) -> ec2.Instance | None:
    address = settings.site.probe_host_address
    home = None if address is None else subnet_of(address, settings.site.private_subnets)
    if home is None:
        return None
    subnet = dict(network.private_subnets)[home]
    return create_probe_host(scope, settings.site, image=image, key_pair=key_pair, subnet=subnet, security_group=group)
