"""The article's four machines and their addresses, looked up in the running lab."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from lab.network import names
from lab.observe import observe_now
from lab.world import Instance, NetworkInterface, Vpc, World
from tests.scenarios.gateway import Gateway, PrivateHost

LEFT, RIGHT = "uk", "au"


class NotYetError(LookupError):
    """A machine or an address of the pair does not exist yet; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One side of the pair."""

    name: str
    network: IPv4Network
    """The VPC's range."""
    gateway: Gateway
    private_host: PrivateHost


@dataclass(frozen=True)
class Pair:
    """Both sides."""

    uk: Site
    au: Site

    @property
    def sites(self) -> tuple[Site, Site]:
        """Both, left first."""
        return self.uk, self.au

    @property
    def gateways(self) -> tuple[Gateway, Gateway]:
        """The gateways of both sides, left first."""
        return self.uk.gateway, self.au.gateway

    def site(self, name: str) -> Site:
        """Return the side of that name, `uk` or `au`."""
        return {site.name: site for site in self.sites}[name]

    def other(self, site: Site) -> Site:
        """Return the other side."""
        return self.au if site.name == self.uk.name else self.uk


def find() -> Pair:
    """Return the pair as it is now. Raises NotYetError while one of its machines or Elastic IPs is missing."""
    world = observe_now()
    return Pair(uk=_site(world, LEFT, RIGHT), au=_site(world, RIGHT, LEFT))


def _site(world: World, name: str, peer: str) -> Site:
    gateway, private = _instance(world, f"{name}-gateway"), _instance(world, f"{name}-private")
    vpc = next(vpc for vpc in world.vpcs if vpc.id == gateway.vpc_id)
    gateway_eni, private_eni = _interface(vpc, gateway), _interface(vpc, private)
    if gateway_eni.public_ip is None:
        raise NotYetError(f"{name}-gateway has no Elastic IP")
    return Site(
        name=name,
        network=vpc.cidr_blocks[0],
        gateway=Gateway(
            name=gateway.name,
            id=gateway.id,
            region=gateway.region,
            eni=gateway_eni.id,
            private_ip=str(gateway_eni.private_ip),
            public_ip=str(gateway_eni.public_ip),
            vpc_namespace=names.vpc_namespace(vpc.id),
            tap=names.tap(gateway_eni.id),
            connection=f"{name}-to-{peer}",
        ),
        private_host=PrivateHost(
            name=private.name,
            id=private.id,
            region=private.region,
            eni=private_eni.id,
            private_ip=str(private_eni.private_ip),
            namespace=names.host_namespace(private.id),
        ),
    )


def _instance(world: World, name: str) -> Instance:
    found = [i for i in world.instances if i.name == name and i.state not in ("shutting-down", "terminated")]
    if not found:
        raise NotYetError(f"no instance is named {name!r}")
    return found[-1]


def _interface(vpc: Vpc, instance: Instance) -> NetworkInterface:
    return next(eni for eni in vpc.network_interfaces if eni.id == instance.network_interface_id)
