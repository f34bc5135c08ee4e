"""VpnGateway: one site with its network, the gateway's identity (Elastic IP and network interface) and its instance."""

from collections.abc import Sequence
from typing import Any, Self

import pulumi
import pulumi_aws as aws
from pulumi_aws import ec2

from .decisions.files import File
from .decisions.monitoring import Tunnel, Watched
from .decisions.tunnel import PROFILES, connection_name
from .gateway_files import boot_files, running_files, user_data
from .inputs.arguments import SecretDelivery, VpnGatewayArgs
from .inputs.peer_addresses import checked_public_ips
from .inputs.settings import GatewaySettings, gateway_settings
from .inputs.site import SiteSettings
from .outputs import SiteOutputs, has_site_outputs
from .replacement import always_replacing, replacement_trigger, replacing_otherwise
from .resources.announcement import announce_replacement
from .resources.configuration import Configuration, configure_gateway, revision_of
from .resources.existing_network import use_network
from .resources.identity import create_identity
from .resources.images import Image, choose_image
from .resources.login_keys import keep_login_keys, public_login_keys
from .resources.machines import create_gateway, create_probe_host
from .resources.monitoring import monitor_gateway
from .resources.network import SiteNetwork, create_network
from .resources.proof import prove_alone
from .resources.remote_commands import Host, Login
from .resources.scope import HOST_USER, Scope
from .resources.secrets import (
    Delivery,
    Place,
    SshKey,
    callers_ssh_key,
    checked_keys,
    generated_ssh_key,
    inline_secrets,
    stored_secrets,
)
from .resources.security_groups import (
    MOST_INBOUND_RULES,
    create_gateway_group,
    create_private_hosts_group,
    inbound_rules,
)
from .resources.zones import Offer, choose_zone, offer_of, offered_type
from .user_data import configure_files, host_name, proof_files


@has_site_outputs
class VpnGateway(pulumi.ComponentResource):
    """One site with a gateway, which is the NAT of its private subnets and, with `peers`, their IPsec gateway.

    The region is that of the `aws` provider in `opts.providers`. The component creates a VPC with a public and private
    subnets, an Internet gateway and two route tables, or uses an existing network. In it, the component creates
    security groups for the gateway and for private hosts, a network interface with a fixed private address and an
    Elastic IP, an IAM role and SSM parameters (when `secret_delivery` is `ssm`), a key pair, the gateway's instance
    and, if `probe_host_private_ip` is set, a probe host. The network interface and the Elastic IP are the gateway's
    identity and outlive the instance. With `ssh_private_key`, remote commands change the running gateway in place,
    and without `peers` prove that it reaches the Internet.
    """

    def __init__(self, name: str, args: VpnGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = gateway_settings(name, args)
        self._create(name, settings, opts, programs=(*configure_files(), *proof_files()), peers_prepared=())
        self.monitor([] if self._proved is None else [self._proved])

    @classmethod
    def of_settings(
        cls,
        name: str,
        settings: GatewaySettings,
        opts: pulumi.ResourceOptions | None = None,
        *,
        peers_prepared: Sequence[pulumi.Input[pulumi.Resource]],
    ) -> Self:
        """Create a gateway from settings, which are read and checked already: `VpnGatewayPair` has them.

        The running gateway is not changed before the commands `peers_prepared` have run. The caller proves it.
        """
        gateway = cls.__new__(cls)
        gateway._create(name, settings, opts, programs=configure_files(), peers_prepared=peers_prepared)
        return gateway

    def _create(
        self,
        name: str,
        settings: GatewaySettings,
        opts: pulumi.ResourceOptions | None,
        *,
        programs: Sequence[File],
        peers_prepared: Sequence[pulumi.Input[pulumi.Resource]],
    ) -> None:
        super().__init__("vpn-gateway-pair:index:VpnGateway", name, None, opts)
        scope = Scope(parent=self, resource_name=name, site=settings.site.name, common_tags=settings.tags)
        self._scope, self._settings = scope, settings
        _warn(self, settings)
        region = aws.get_region_output(opts=pulumi.InvokeOutputOptions(parent=self)).region
        offer = offer_of(scope, settings.site.instance_type)
        network = _network(scope, settings, offer, region)
        login_keys = public_login_keys(settings)
        peer_public_ips = checked_public_ips(settings.peers)
        gateway = create_gateway_group(scope, network, settings, peer_public_ips)
        private = create_private_hosts_group(scope, network, settings)
        identity = create_identity(scope, settings, network, gateway.group)
        path = (*gateway.rules, *private.rules, *network.way_out, *network.private_associations, identity.association)
        self._interface = identity.interface
        self._path = (*(each.id for each in path), *identity.route_ids)
        host_key = _host_key(scope, settings.site)
        place = Place(
            public_ip=identity.public_ip,
            private_ip=str(settings.site.gateway_private_ip),
            vpc_id=network.vpc_id,
        )
        delivery = _delivery(scope, settings, host_key, place)
        image = choose_image(scope, settings.site, region)
        instance_type = offered_type(scope, offer, network.zones)
        key_pair = _key_pair(scope, login_keys[0])
        files = boot_files(
            settings,
            public_ip=identity.public_ip,
            peer_public_ips=peer_public_ips,
            delivery=delivery,
            host_key=host_key,
        )
        delivered = running_files(
            settings, identity.public_ip, peer_public_ips, identity.interface, files, login_keys=login_keys
        )
        announce_replacement(
            scope,
            always=always_replacing(settings, host_key),
            otherwise={}
            if settings.changes_in_place
            else replacing_otherwise(settings, login_keys[0], peer_public_ips),
        )
        self._instance = create_gateway(
            scope,
            settings.site,
            image=image,
            instance_type=instance_type,
            key_pair=key_pair,
            interface=identity.interface,
            instance_profile=delivery.instance_profile,
            user_data_base64=user_data(scope, settings, files),
            changes_in_place=settings.changes_in_place,
            replaced_for=replacement_trigger(settings, host_key),
            needed_at_boot=(*gateway.rules, *network.way_out, identity.association, *delivery.needed_at_boot),
        )
        self._probe_host = _probe_host(
            scope,
            settings,
            network,
            image=image,
            instance_type=instance_type,
            key_pair=key_pair,
            group=private.group,
        )
        self._revision = delivered.apply(revision_of)
        self._configuration, self._proved = _configure(
            scope,
            settings,
            Host(
                site=settings.site.name,
                address=identity.public_ip,
                instance=self._instance,
                host_public_key=host_key.public,
            ),
            delivered,
            self._revision,
            programs=programs,
            path=self._path,
            # SSH needs the same as the boot.
            depends_on=(*gateway.rules, *network.way_out, identity.association),
            peers_prepared=peers_prepared,
        )
        keep_login_keys(
            scope,
            login_keys,
            changes_in_place=settings.changes_in_place,
            instance=self._instance,
            configured=self._instance if self._configuration is None else self._configuration.configured,
        )
        self.vpc_id = network.vpc_id
        self.public_subnet_id = network.public_subnet_id
        self.private_subnet_ids = network.private_subnet_ids
        self.public_route_table_id = network.public_route_table_id
        self.private_route_table_ids = network.private_route_table_ids
        self.internet_gateway_id = network.internet_gateway_id
        self.network_interface_id = identity.interface.id
        self.public_ip = identity.public_ip
        self.private_ip = pulumi.Output.from_input(str(settings.site.gateway_private_ip))
        self.gateway_security_group_id = gateway.group.id
        self.private_hosts_security_group_id = private.group.id
        self.instance_id = self._instance.id
        self.probe_host_instance_id = None if self._probe_host is None else self._probe_host.id
        self.connection_names = pulumi.Output.from_input(_connection_names(settings))
        self.ssh_command = pulumi.Output.concat("ssh -i KEY ", HOST_USER, "@", self.public_ip)
        self.ssh_host_public_key = host_key.public
        self.verify_command = pulumi.Output.concat(self.ssh_command, " sudo vpn-verify")
        self.register_outputs({**self.site_outputs()})

    @property
    def instance(self) -> ec2.Instance:
        """The gateway's instance, for `depends_on`."""
        return self._instance

    @property
    def configured(self) -> pulumi.Resource | None:
        """The command that changes the running gateway, for `depends_on`; None without `ssh_private_key`."""
        return None if self._configuration is None else self._configuration.configured

    @property
    def prepared(self) -> pulumi.Resource:
        """The command that prepares a change of the running gateway; without `ssh_private_key` the instance itself."""
        return self._instance if self._configuration is None else self._configuration.prepared

    @property
    def revision(self) -> pulumi.Output[str]:
        """A short name of the gateway's files. `vpn-verify --revision` fails unless the gateway runs them."""
        return self._revision

    @property
    def path(self) -> tuple[pulumi.Output[str], ...]:
        """Ids of the resources that packets cross, without the instances. The proof runs again when one changes."""
        return self._path

    @property
    def probe_host(self) -> ec2.Instance | None:
        """The probe host, for `depends_on`."""
        return self._probe_host

    def monitor(self, depends_on: Sequence[pulumi.Resource]) -> pulumi.Output[Watched] | None:
        """Create the alarms, and the dashboard; return what a dashboard shows of this gateway.

        Without `monitoring` there is nothing to create, and this returns None. `depends_on` is what has to work first:
        an alarm that is created before its tunnel is up would notify people at once.
        """
        if self._settings.monitoring is None:
            return None
        return monitor_gateway(
            self._scope,
            self._settings.monitoring,
            self._interface,
            self._instance,
            gateway=host_name(self._settings.site.name),
            tunnels=_tunnels(self._settings),
            verify_command=self.verify_command,
            depends_on=depends_on,
        )

    def site_outputs(self) -> SiteOutputs:
        """Return the outputs as one mapping, without those that are absent."""
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
        cost = "everyone who may call ec2:DescribeInstanceAttribute, and every process on the gateway, can read them"
        pulumi.log.warn(f"secret_delivery user-data: {cost}. Use ssm.", component)
    for block in (each for each in settings.administrator_cidr_blocks if each.prefixlen <= 1):
        pulumi.log.warn(
            f"administrator_cidr_blocks {block}: the whole Internet may try to log in. Give your own CIDR blocks.",
            component,
        )
    for group, number in inbound_rules(settings).items():
        if number > MOST_INBOUND_RULES:
            pulumi.log.warn(
                f"{settings.site.name}-{group} has {number} inbound rules, AWS takes {MOST_INBOUND_RULES} unless your "
                'quota is higher: raise "Inbound or outbound rules per security group", or use fewer ranges.',
                component,
            )


def _network(
    scope: Scope, settings: GatewaySettings, offer: pulumi.Output[Offer], region: pulumi.Output[str]
) -> SiteNetwork:
    site = settings.site
    if site.existing_network is not None:
        return use_network(scope, settings, site.existing_network)
    # Settings without an existing network have a public subnet.
    zones = site.availability_zones or (choose_zone(scope, offer, region),)
    return create_network(scope, site, site.public_subnet_cidr_block or site.cidr_block, zones)


def _host_key(scope: Scope, site: SiteSettings) -> SshKey:
    private, public = site.host_private_key, site.host_public_key
    if private is not None and public is not None:
        return callers_ssh_key("host", private, public)
    return generated_ssh_key(scope.name("host-key"), scope.options())


def _delivery(scope: Scope, settings: GatewaySettings, host_key: SshKey, place: Place) -> Delivery:
    keys = checked_keys(settings.psk, settings.ppk)
    if settings.secret_delivery is SecretDelivery.USER_DATA:
        return inline_secrets(keys, host_key)
    return stored_secrets(
        scope,
        keys,
        host_key,
        place=place,
        kms_key_arn=settings.site.kms_key_arn,
        permissions_boundary_arn=settings.site.permissions_boundary_arn,
        publishes_metrics=settings.monitoring is not None,
    )


def _key_pair(scope: Scope, login_key: pulumi.Output[str]) -> ec2.KeyPair:
    return ec2.KeyPair(scope.name("key-pair"), public_key=login_key, tags=scope.tags("key-pair"), opts=scope.options())


def _configure(
    scope: Scope,
    settings: GatewaySettings,
    host: Host,
    files: pulumi.Output[tuple[File, ...]],
    revision: pulumi.Output[str],
    *,
    programs: Sequence[File],
    path: Sequence[pulumi.Output[str]],
    depends_on: Sequence[pulumi.Resource],
    peers_prepared: Sequence[pulumi.Input[pulumi.Resource]],
) -> tuple[Configuration | None, pulumi.Resource | None]:
    """Create the commands that change the running gateway, if anything may log in; without peers also its proof.

    Also return the last of these commands.
    """
    if settings.ssh_private_key is None:
        return None, None
    login = Login(private_key=settings.ssh_private_key, timeout=settings.ssh_timeout)
    configuration = configure_gateway(
        scope,
        login,
        host,
        files=files,
        revision=revision,
        root_gib=settings.site.root_volume_size,
        programs=programs,
        depends_on=depends_on,
        peers_prepared=peers_prepared,
    )
    if settings.peers:
        # Of a tunnel, only a pair knows when the other end is ready.
        return configuration, configuration.configured
    return configuration, prove_alone(
        scope,
        login,
        host,
        revision=revision,
        path=path,
        files=proof_files(),
        configured=configuration.configured,
    )


def _connection_names(settings: GatewaySettings) -> list[str]:
    return [each.connection for each in _tunnels(settings)]


def _tunnels(settings: GatewaySettings) -> list[Tunnel]:
    return [
        Tunnel(
            peer=peer.name,
            connection=connection_name(settings.site.name, peer.name),
            has_echoes=peer.private_ip is not None,
        )
        for peer in settings.peers
    ]


def _probe_host(
    scope: Scope,
    settings: GatewaySettings,
    network: SiteNetwork,
    *,
    image: Image,
    instance_type: pulumi.Input[str],
    key_pair: ec2.KeyPair,
    group: ec2.SecurityGroup,
) -> ec2.Instance | None:
    if settings.site.probe_host_private_ip is None:
        return None
    return create_probe_host(
        scope,
        settings.site,
        image=image,
        instance_type=instance_type,
        key_pair=key_pair,
        subnet_id=network.probe_host_subnet_id,
        security_group=group,
    )
