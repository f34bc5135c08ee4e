"""Where everything of the running pair is: the article's four machines, looked up in the API as it stands."""

from dataclasses import dataclass
from ipaddress import IPv4Network

from lab.network import names
from lab.observe import observe_now
from lab.world import Instance, NetworkInterface, Vpc, World

LEFT, RIGHT = "uk", "au"


class NotYetError(LookupError):
    """A machine or an address of the pair is not there; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """One side of the pair. An instance's id changes when it is replaced; everything else stays."""

    name: str
    region: str
    network: IPv4Network
    """The VPC's range."""
    vpc_namespace: str
    gateway: str
    """The gateway's host name, for `lab.hosts.run`."""
    gateway_id: str
    """The gateway's instance."""
    gateway_eni: str
    gateway_tap: str
    """The gateway's port in `vpc_namespace`; gone while its instance is stopped."""
    gateway_ip: str
    public_ip: str
    private_host: str
    private_host_id: str
    private_host_eni: str
    private_host_namespace: str
    private_ip: str
    connection: str
    """The IPsec connection's name on this side's gateway."""


@dataclass(frozen=True)
class Pair:
    """Both sides."""

    uk: Site
    au: Site

    @property
    def sites(self) -> tuple[Site, Site]:
        """Both, left first."""
        return self.uk, self.au

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
        region=gateway.region,
        network=vpc.cidr_blocks[0],
        vpc_namespace=names.vpc_namespace(vpc.id),
        gateway=gateway.name,
        gateway_id=gateway.id,
        gateway_eni=gateway_eni.id,
        gateway_tap=names.tap(gateway_eni.id),
        gateway_ip=str(gateway_eni.private_ip),
        public_ip=str(gateway_eni.public_ip),
        private_host=private.name,
        private_host_id=private.id,
        private_host_eni=private_eni.id,
        private_host_namespace=names.host_namespace(private.id),
        private_ip=str(private_eni.private_ip),
        connection=f"{name}-to-{peer}",
    )


def _instance(world: World, name: str) -> Instance:
    found = [i for i in world.instances if i.name == name and i.state not in ("shutting-down", "terminated")]
    if not found:
        raise NotYetError(f"no instance is named {name!r}")
    return found[-1]


def _interface(vpc: Vpc, instance: Instance) -> NetworkInterface:
    return next(eni for eni in vpc.network_interfaces if eni.id == instance.network_interface_id)
