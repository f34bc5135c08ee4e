"""Elastic IP addresses: taken from the lab's documentation ranges, each allocated once, bound to interfaces."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.responses import EC2Response
from moto.ec2.utils import random_eip_association_id

from lab import settings
from lab.api.corrections import Call, corrects, refuses
from lab.api.errors import ec2_error


class AddressPool:
    """Public addresses of all regions.

    The first region starts in the first network, the second in the second, and so on, so that addresses of two regions
    are easy to tell apart. A region continues in the next network when its own is used up. A released address is
    allocated again only after all others: on AWS its former owner can recover it for a while by naming it.
    """

    def __init__(self, networks: Sequence[IPv4Network]) -> None:
        self._networks = [list(network.hosts()) for network in networks]
        self._taken: set[IPv4Address] = set()
        self._regions: dict[str, list[IPv4Address]] = {}

    def take(self, region: str, wanted: str | None = None) -> str:
        """Return a free address, or `wanted`. Raises AddressLimitExceeded, or InvalidAddress.NotFound for `wanted`."""
        queue = self._queue(region)
        for address in queue:
            if address not in self._taken and wanted in {None, str(address)}:
                self._taken.add(address)
                queue.remove(address)
                queue.append(address)
                return str(address)
        if wanted is not None:
            raise ec2_error("InvalidAddress.NotFound", f"Address '{wanted}' not found.")
        raise ec2_error("AddressLimitExceeded", "The maximum number of addresses has been reached.")

    def give_back(self, address: str) -> None:
        """Make an address free again. Does nothing for a free address."""
        self._taken.discard(IPv4Address(address))

    def clear(self) -> None:
        """Make all addresses free."""
        self._taken.clear()
        self._regions.clear()

    def _queue(self, region: str) -> list[IPv4Address]:
        if region not in self._regions:
            first = len(self._regions) % len(self._networks)
            networks = self._networks[first:] + self._networks[:first]
            self._regions[region] = [address for network in networks for address in network]
        return self._regions[region]


POOL = AddressPool(settings.ELASTIC_IP_POOLS)


class BoundElasticAddress(ElasticAddress):
    """An Elastic IP address whose instance is that of its network interface."""

    @property
    @corrects(
        "InstanceId is the instance that the address's network interface is attached to.",
        "AWSEC2/latest/APIReference/API_Address.html",
    )
    def instance_id(self) -> str:
        instance = self.eni.instance if self.eni else None
        return instance.id if instance else ""

    @corrects(
        "The filter instance-id finds an address by its associated instance.",
        "AWSEC2/latest/APIReference/API_DescribeAddresses.html",
    )
    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name == "instance-id":
            return self.instance_id or None
        if filter_name == "network-interface-owner-id":
            return self.network_interface_owner_id
        return super().get_filter_value(filter_name, method_name)


class AddressBackend(EC2Backend):
    """Allocation, association and release of Elastic IP addresses."""

    @corrects(
        "An allocated address belongs to one account in one region until it is released; Address recovers a released "
        "one.",
        "AWSEC2/latest/APIReference/API_AllocateAddress.html",
    )
    def allocate_address(
        self, domain: str, address: str | None = None, tags: dict[str, str] | None = None
    ) -> ElasticAddress:
        public_ip = POOL.take(self.region_name, address)
        return super().allocate_address(domain, public_ip, tags)

    @corrects(
        "Associating is idempotent and moves the address, unless AllowReassociation is false; the address that the "
        "interface had before is disassociated and stays allocated.",
        "AWSEC2/latest/APIReference/API_AssociateAddress.html",
    )
    def associate_address(
        self,
        instance: Any = None,
        eni: Any = None,
        address: str | None = None,
        allocation_id: str | None = None,
        reassociate: bool = False,
    ) -> ElasticAddress:
        eip = (self.address_by_ip([address]) if address else self.address_by_allocation([allocation_id or ""]))[0]
        interface = eni or instance.nics[0]
        current = next((other for other in self.addresses if other.eni is interface), None)
        if current is eip:
            return eip
        for associated in (eip if eip.eni else None, current):
            if associated is None:
                continue
            if not reassociate:
                raise ec2_error(
                    "Resource.AlreadyAssociated",
                    f"resource {associated.allocation_id} is already associated with associate-id "
                    f"{associated.association_id}",
                )
            self.disassociate_address(association_id=associated.association_id)
        interface.release_automatic_address()
        eip.eni = interface
        interface.public_ip = eip.public_ip
        eip.association_id = random_eip_association_id()
        return eip

    @corrects(
        "A released address goes back to the pool and can be allocated by others.",
        "AWSEC2/latest/APIReference/API_ReleaseAddress.html",
    )
    def release_address(self, address: str | None = None, allocation_id: str | None = None) -> None:
        eip = (self.address_by_ip([address]) if address else self.address_by_allocation([allocation_id or ""]))[0]
        self.addresses.remove(eip)
        POOL.give_back(eip.public_ip)


class AddressResponse(EC2Response):
    """AssociateAddress, which moves an address by default."""

    @corrects(
        "An address is moved to another interface unless AllowReassociation is false.",
        "AWSEC2/latest/APIReference/API_AssociateAddress.html",
    )
    def associate_address(self) -> ActionResult:
        params: Any = self.params
        if self._get_param("AllowReassociation") is None:
            params["AllowReassociation"] = True
        return super().associate_address()


def _address_of(call: Call) -> ElasticAddress | None:
    allocation_id, public_ip = call.parameter("AllocationId"), call.parameter("PublicIp")
    for eip in call.backend.addresses:
        if allocation_id == eip.allocation_id or public_ip == eip.public_ip:
            return eip
    return None


@refuses(
    "ReleaseAddress",
    rule="An associated address must be disassociated before it can be released.",
    source="AWSEC2/latest/APIReference/API_ReleaseAddress.html",
)
def associated_address_is_not_released(call: Call) -> None:
    """InvalidIPAddress.InUse."""
    eip = _address_of(call)
    if eip is not None and eip.association_id:
        raise ec2_error("InvalidIPAddress.InUse", f"Address {eip.public_ip} is in use.")


@refuses(
    "AssociateAddress",
    rule="An Elastic IP address can be associated only in a VPC that has an Internet gateway.",
    source="AWSEC2/latest/APIReference/errors-overview.html",
)
def association_needs_an_internet_gateway(call: Call) -> None:
    """Gateway.NotAttached."""
    interface_id, instance_id = call.parameter("NetworkInterfaceId"), call.parameter("InstanceId")
    if interface_id:
        vpc_id = call.backend.get_network_interface(interface_id).vpc_id
    elif instance_id:
        instance = call.backend.get_instance(instance_id)
        if instance.state not in {"running", "stopped", "stopping"}:
            raise ec2_error(
                "InvalidInstanceID", f"The instance '{instance_id}' is not in a valid state for this operation."
            )
        vpc_id = instance.nics[0].vpc_id
    else:
        return
    if not any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in call.backend.internet_gateways.values()):
        raise ec2_error("Gateway.NotAttached", f"Network {vpc_id} is not attached to any internet gateway")
