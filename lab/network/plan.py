"""World -> Plan: the namespaces, links, addresses, routes and rules that emulate the world's network. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import islice

from lab import settings
from lab.network import model, names, resolver, ruleset
from lab.world import Instance, NetworkInterface, Subnet, Vpc, World

ADMINISTRATOR = "administrator"
"""The interface of the lab's Internet towards the host."""

_HAS_A_MACHINE = ("pending", "running")
_DEFAULT_ROUTE = IPv4Network("0.0.0.0/0")
# Nitro's first interface is ens5, the next ens6.
_FIRST_INTERFACE_NUMBER = 5


class NetworkError(Exception):
    """The network cannot be created; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class _Attachment:
    """An ENI of an instance that has a machine."""

    interface: NetworkInterface
    instance: Instance
    number: int
    """0 is the primary one."""


def make(world: World, uplinks: Mapping[str, int]) -> model.Plan:
    """Return the plan; `uplinks` has the number of each VPC's point-to-point network (see `number_uplinks`)."""
    namespaces: dict[str | None, model.Namespace] = {
        None: _root(),
        settings.INTERNET_NAMESPACE: _internet(world, uplinks),
    }
    attachments = _attachments(world)
    for vpc in world.vpcs:
        own = {eni_id: attachment for eni_id, attachment in attachments.items() if attachment.instance.vpc_id == vpc.id}
        namespaces[names.vpc_namespace(vpc.id)] = _vpc(vpc, own, _uplink_ends(uplinks[vpc.id]))
        for instance_id in sorted({a.instance.id for a in own.values() if not a.instance.user_data}):
            of_instance = sorted((a for a in own.values() if a.instance.id == instance_id), key=lambda a: a.number)
            namespaces[names.host_namespace(instance_id)] = _host(vpc, of_instance)
    return namespaces


def number_uplinks(previous: Mapping[str, int], vpc_ids: Iterable[str]) -> dict[str, int]:
    """Return a number for each VPC: its previous number, or else the lowest free one.

    Raises NetworkError when `settings.VPC_UPLINKS` has no more /31 networks.
    """
    all_ids = sorted(vpc_ids)
    kept = {vpc_id: previous[vpc_id] for vpc_id in all_ids if vpc_id in previous}
    capacity = settings.VPC_UPLINKS.num_addresses // 2
    free = (number for number in range(capacity) if number not in set(kept.values()))
    new_ids = [vpc_id for vpc_id in all_ids if vpc_id not in kept]
    new = dict(zip(new_ids, islice(free, len(new_ids)), strict=False))
    if len(new) < len(new_ids):
        raise NetworkError(
            f"the lab has {len(all_ids)} VPCs, but VPC_UPLINKS {settings.VPC_UPLINKS} has room for {capacity}; "
            "delete VPCs that are not needed or widen VPC_UPLINKS in lab/settings.py"
        )
    return kept | new


def _uplink_ends(number: int) -> tuple[IPv4Address, IPv4Address]:
    """Return the VPC's and the Internet's address of a point-to-point network."""
    base = settings.VPC_UPLINKS[2 * number]
    return base, base + 1


def _attachments(world: World) -> dict[str, _Attachment]:
    """Return every ENI that has a machine, by its id."""
    instances = {instance.id: instance for instance in world.instances if instance.state in _HAS_A_MACHINE}
    attachments = {}
    for vpc in world.vpcs:
        for instance_id, instance in instances.items():
            interfaces = [eni for eni in vpc.network_interfaces if eni.instance_id == instance_id]
            # mypy cannot infer a lambda with a default.
            interfaces.sort(key=lambda eni, primary=instance.network_interface_id: (eni.id != primary, eni.id))  # type: ignore[misc]
            for number, interface in enumerate(interfaces):
                attachments[interface.id] = _Attachment(interface=interface, instance=instance, number=number)
    return attachments


def _root() -> model.Namespace:
    link = names.administrator_link()
    via = settings.ADMINISTRATOR_GATEWAY
    return model.Namespace(
        name=None,
        is_shared=True,
        links=(model.veth(link, mtu=settings.EXTERNAL_MTU, to=settings.INTERNET_NAMESPACE, peer_name=ADMINISTRATOR),),
        addresses=(model.Address(interface=link, address=_single(settings.ADMINISTRATOR)),),
        routes=(
            model.Route(destination=IPv4Network(via), interface=link, source=settings.ADMINISTRATOR),
            *(
                model.Route(destination=network, interface=link, gateway=via, source=settings.ADMINISTRATOR)
                for network in (*settings.ELASTIC_IP_POOLS, settings.INTERNET)
            ),
        ),
    )


def _internet(world: World, uplinks: Mapping[str, int]) -> model.Namespace:
    links = [
        model.veth(ADMINISTRATOR, mtu=settings.EXTERNAL_MTU, to=None, peer_name=names.administrator_link()),
    ]
    addresses = [
        model.Address(interface="lo", address=_single(settings.WEB_SERVER)),
        model.Address(interface="lo", address=_single(settings.AWS_ENDPOINTS)),
        model.Address(interface=ADMINISTRATOR, address=_single(settings.ADMINISTRATOR_GATEWAY)),
    ]
    routes = [model.Route(destination=IPv4Network(settings.ADMINISTRATOR), interface=ADMINISTRATOR)]
    # Packets to an Elastic IP that is not associated are dropped without an answer, as on AWS.
    routes += [model.Route(destination=pool, kind="blackhole") for pool in settings.ELASTIC_IP_POOLS]
    for vpc in world.vpcs:
        link = names.uplink(vpc.id)
        vpc_end, internet_end = _uplink_ends(uplinks[vpc.id])
        links.append(
            model.veth(link, mtu=settings.EXTERNAL_MTU, to=names.vpc_namespace(vpc.id), peer_name=names.UPLINK)
        )
        addresses.append(model.Address(interface=link, address=IPv4Interface((internet_end, 31))))
        routes += [
            model.Route(destination=IPv4Network(elastic_ip), interface=link, gateway=vpc_end)
            for elastic_ip, _ in sorted(ruleset.translations(vpc))
        ]
    return model.Namespace(
        name=settings.INTERNET_NAMESPACE,
        is_router=True,
        links=tuple(links),
        addresses=tuple(addresses),
        routes=tuple(routes),
    )


def _vpc(vpc: Vpc, attachments: Mapping[str, _Attachment], uplink: tuple[IPv4Address, IPv4Address]) -> model.Namespace:
    subnets = {subnet.id: subnet for subnet in vpc.subnets}
    vpc_end, internet_end = uplink
    links = [
        model.veth(
            names.UPLINK, mtu=settings.EXTERNAL_MTU, to=settings.INTERNET_NAMESPACE, peer_name=names.uplink(vpc.id)
        )
    ]
    addresses = [model.Address(interface=names.UPLINK, address=IPv4Interface((vpc_end, 31)))]
    services = (resolver.address(vpc), resolver.LINK_LOCAL_ADDRESS, ruleset.METADATA_ADDRESS)
    addresses += [model.Address(interface="lo", address=_single(service)) for service in services]
    # Packets to an address that no machine has are dropped: local addresses never leave the VPC.
    routes = [model.Route(destination=cidr_block, kind="blackhole") for cidr_block in vpc.cidr_blocks]
    rules = []
    for attachment in attachments.values():
        subnet = subnets[attachment.interface.subnet_id]
        port = names.tap(attachment.interface.id)
        router = _router(subnet)
        links.append(_port(attachment))
        addresses.append(model.Address(interface=port, address=router, is_connected=False))
        routes.append(
            model.Route(destination=IPv4Network(attachment.interface.private_ip), interface=port, source=router.ip)
        )
        rules.append(model.Rule(interface=port, table=names.routing_table(subnet.route_table_id)))
    return model.Namespace(
        name=names.vpc_namespace(vpc.id),
        is_router=True,
        links=tuple(links),
        addresses=tuple(addresses),
        routes=(*routes, *_route_tables(vpc, attachments, internet_end)),
        rules=tuple(rules),
        ruleset=ruleset.render(vpc, {eni_id: names.tap(eni_id) for eni_id in attachments}),
        translations=ruleset.translations(vpc),
        dnsmasq=resolver.render(vpc),
    )


def _port(attachment: _Attachment) -> model.Link:
    interface, instance = attachment.interface, attachment.instance
    if instance.user_data:
        return model.tap(interface.id, mtu=settings.INTERNAL_MTU)
    return model.veth(
        names.tap(interface.id),
        mtu=settings.INTERNAL_MTU,
        to=names.host_namespace(instance.id),
        peer_name=_host_interface(attachment.number),
    )


def _route_tables(vpc: Vpc, attachments: Mapping[str, _Attachment], internet_end: IPv4Address) -> Iterable[model.Route]:
    """Yield the routes of all tables in use.

    For the VPC's own ranges the look-up continues (`throw`) in table `main`, which has a /32 for each machine. The
    longest prefix therefore wins between `local` and the table's routes, as the VPC guide says, also for a route that
    is more specific than `local`.
    """
    in_use = {subnet.route_table_id for subnet in vpc.subnets}
    for table in vpc.route_tables:
        if table.id not in in_use:
            continue
        number = names.routing_table(table.id)
        for cidr_block in vpc.cidr_blocks:
            yield model.Route(destination=cidr_block, kind="throw", table=number)
        if all(route.destination != _DEFAULT_ROUTE for route in table.routes):
            yield model.Route(destination=_DEFAULT_ROUTE, kind="blackhole", table=number)
        for route in table.routes:
            if route.target_kind == "internet-gateway" and route.target_id == vpc.internet_gateway_id:
                yield model.Route(
                    destination=route.destination, table=number, interface=names.UPLINK, gateway=internet_end
                )
            elif route.target_kind == "network-interface" and route.target_id in attachments:
                interface = attachments[route.target_id].interface
                yield model.Route(
                    destination=route.destination,
                    table=number,
                    interface=names.tap(interface.id),
                    gateway=interface.private_ip,
                )
            else:
                yield model.Route(destination=route.destination, kind="blackhole", table=number)


def _host(vpc: Vpc, attachments: Iterable[_Attachment]) -> model.Namespace:
    subnets = {subnet.id: subnet for subnet in vpc.subnets}
    links, addresses, routes, name = [], [], [], ""
    for attachment in attachments:
        interface, number = attachment.interface, attachment.number
        subnet = subnets[interface.subnet_id]
        link = _host_interface(number)
        name = names.host_namespace(attachment.instance.id)
        links.append(
            model.veth(
                link,
                mtu=settings.INTERNAL_MTU,
                mac_address=interface.mac_address.lower(),
                to=names.vpc_namespace(vpc.id),
                peer_name=names.tap(interface.id),
            )
        )
        prefix_length = subnet.cidr_block.prefixlen
        addresses.append(model.Address(interface=link, address=IPv4Interface((interface.private_ip, prefix_length))))
        if number == 0:
            routes.append(model.Route(destination=_DEFAULT_ROUTE, interface=link, gateway=_router(subnet).ip))
    return model.Namespace(
        name=name,
        is_shared=True,
        links=tuple(links),
        addresses=tuple(addresses),
        routes=tuple(routes),
        resolv_conf=f"nameserver {resolver.address(vpc)}\nsearch {names.private_domain(vpc.region)}\n",
    )


def _host_interface(number: int) -> str:
    return names.HOST_INTERFACE if number == 0 else f"ens{_FIRST_INTERFACE_NUMBER + number}"


def _router(subnet: Subnet) -> IPv4Interface:
    """Return the implicit router's address: the subnet's base plus one (VPC guide, reserved addresses)."""
    return IPv4Interface((subnet.cidr_block.network_address + 1, subnet.cidr_block.prefixlen))


def _single(address: IPv4Address) -> IPv4Interface:
    return IPv4Interface((address, 32))
