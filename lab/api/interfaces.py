"""Network interfaces: their addresses and groups, their creation, attachment and deletion."""

from typing import Any, Final

from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.moto_api._internal import mock_random

from lab.api.addresses import POOL
from lab.api.corrections import Call, corrects, refuses
from lab.api.errors import ec2_error
from lab.api.subnets import free_address, require_free_address

# The second-lowest bit of the first octet marks a locally administered address (IEEE 802), the lowest a group address.
_FIRST_OCTETS: Final = (0x02, 0x06, 0x0A, 0x0E)
_mac_addresses: set[str] = set()


def _unique_mac_address() -> str:
    while True:
        octets = (mock_random.choice(_FIRST_OCTETS), *(mock_random.randint(0, 255) for _ in range(5)))
        mac_address = ":".join(f"{octet:02x}" for octet in octets)
        if mac_address not in _mac_addresses:
            _mac_addresses.add(mac_address)
            return mac_address


class AccountedInterface(NetworkInterface):
    """A network interface with a unique MAC address and a public address from the lab's ranges."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mac_address = _unique_mac_address()
        self.interface_type = "interface"

    @property
    @corrects(
        "A network interface has its own groups.",
        "AWSEC2/latest/APIReference/API_NetworkInterface.html",
    )
    def group_set(self) -> Any:
        return self._group_set

    @property
    @corrects(
        "IpOwnerId is `amazon` for a public address that is not an Elastic IP address.",
        "AWSEC2/latest/APIReference/API_NetworkInterfaceAssociation.html",
    )
    def association(self) -> dict[str, Any]:
        association = dict(super().association)
        if association and not association.get("allocationId"):
            association["ipOwnerId"] = "amazon"
        return association

    @corrects(
        "An automatically assigned public address is released when the instance stops; an Elastic IP address stays.",
        "AWSEC2/latest/UserGuide/using-instance-addressing.html",
    )
    def stop(self) -> None:
        self.release_automatic_address()

    @corrects(
        "A started instance gets a new public address if its subnet or launch request assigns one and it has no "
        "Elastic IP address.",
        "AWSEC2/latest/UserGuide/using-instance-addressing.html",
    )
    def check_auto_public_ip(self) -> None:
        if self.public_ip_auto_assign and self.public_ip is None:
            self.public_ip = POOL.take(self.ec2_backend.region_name)

    @corrects(
        "An automatically assigned public address is released when an Elastic IP address takes its place.",
        "AWSEC2/latest/UserGuide/using-instance-addressing.html",
        adds=True,
    )
    def release_automatic_address(self) -> None:
        if self.public_ip and not any(eip.eni is self for eip in self.ec2_backend.addresses):
            POOL.give_back(self.public_ip)
            self.public_ip = None


class InterfaceBackend(EC2Backend):
    """Creation, deletion and attachment of network interfaces."""

    @corrects(
        "The addresses of a network interface must be free and not reserved in its subnet; AWS picks one if the "
        "request names none.",
        "AWSEC2/latest/APIReference/API_CreateNetworkInterface.html",
    )
    def create_network_interface(
        self,
        subnet: Any,
        private_ip_address: str | list[str],
        private_ip_addresses: list[dict[str, Any]] | None = None,
        group_ids: list[str] | None = None,
        description: str | None = None,
        tags: dict[str, str] | None = None,
        delete_on_termination: bool | None = False,
        **kwargs: Any,
    ) -> NetworkInterface:
        if isinstance(subnet, str):
            subnet = self.get_subnet(subnet)
        self._require_groups(subnet, group_ids or [])
        secondary = [entry["PrivateIpAddress"] for entry in private_ip_addresses or []]
        primary = [private_ip_address] if isinstance(private_ip_address, str) else list(private_ip_address or [])
        for address in primary + secondary:
            require_free_address(self, subnet, address)
        if not primary and not secondary:
            private_ip_address = free_address(self, subnet)
        return super().create_network_interface(
            subnet,
            private_ip_address,
            private_ip_addresses,
            group_ids,
            description,
            tags,
            delete_on_termination,
            **kwargs,
        )

    @corrects(
        "Deleting a network interface disassociates its Elastic IP address, which stays allocated.",
        "AWSEC2/latest/APIReference/API_DeleteNetworkInterface.html",
    )
    def delete_network_interface(self, eni_id: str) -> None:
        interface = self.get_network_interface(eni_id)
        interface.release_automatic_address()  # type: ignore[attr-defined]  # every interface is an AccountedInterface
        interface.public_ip_auto_assign = False
        for eip in [eip for eip in self.addresses if eip.eni is interface]:
            self.disassociate_address(association_id=eip.association_id)
        super().delete_network_interface(eni_id)

    def _require_groups(self, subnet: Any, group_ids: list[str]) -> None:
        for group_id in group_ids:
            group = self.get_security_group_from_id(group_id)
            if group is None:
                raise ec2_error("InvalidSecurityGroupID.NotFound", f"The securityGroup ID '{group_id}' does not exist")
            if group.vpc_id != subnet.vpc_id:
                raise ec2_error(
                    "InvalidParameter",
                    f"Security group {group_id} and subnet {subnet.id} belong to different networks.",
                )


@refuses(
    "DeleteNetworkInterface",
    rule="A network interface must be detached before it can be deleted.",
    source="AWSEC2/latest/APIReference/API_DeleteNetworkInterface.html",
)
def attached_interface_is_not_deleted(call: Call) -> None:
    """InvalidParameterValue, with the message that providers wait on."""
    interface = call.backend.enis.get(call.parameter("NetworkInterfaceId"))
    if interface is not None and interface.instance is not None:
        raise ec2_error("InvalidParameterValue", f"Network interface '{interface.id}' is currently in use.")


@refuses(
    "AttachNetworkInterface",
    rule="A network interface can be attached only while it is available, and only to an instance in its zone.",
    source="AWSEC2/latest/UserGuide/network-interface-attachments.html",
)
def busy_interface_is_not_attached(call: Call) -> None:
    """InvalidNetworkInterface.InUse, InvalidParameterValue, IncorrectInstanceState."""
    interface = call.backend.get_network_interface(call.parameter("NetworkInterfaceId"))
    instance = call.backend.get_instance(call.parameter("InstanceId"))
    if interface.instance is not None:
        raise ec2_error("InvalidNetworkInterface.InUse", f"Interface: [{interface.id}] in use.")
    if instance.state not in {"running", "stopped"}:
        raise ec2_error("IncorrectInstanceState", f"Instance '{instance.id}' is not 'running' or 'stopped'.")
    if interface.availability_zone != instance.availability_zone:
        raise ec2_error(
            "InvalidParameterCombination",
            "You may not attach a network interface to an instance if they are not in the same availability zone",
        )
    if int(call.parameter("DeviceIndex")) in instance.nics:
        raise ec2_error(
            "InvalidParameterValue",
            f"Instance '{instance.id}' already has an interface attached at device index "
            f"'{call.parameter('DeviceIndex')}'.",
        )


@refuses(
    "DetachNetworkInterface",
    rule="The primary network interface of an instance cannot be detached.",
    source="AWSEC2/latest/UserGuide/network-interface-attachments.html",
)
def primary_interface_is_not_detached(call: Call) -> None:
    """OperationNotPermitted."""
    attachment_id = call.parameter("AttachmentId")
    for interface in call.backend.enis.values():
        if interface.attachment_id == attachment_id and interface.device_index == 0:
            raise ec2_error("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")


@refuses(
    "ModifyNetworkInterfaceAttribute",
    rule="The groups of a network interface must exist in its VPC.",
    source="AWSEC2/latest/APIReference/API_ModifyNetworkInterfaceAttribute.html",
)
def new_groups_are_of_the_vpc(call: Call) -> None:
    """InvalidSecurityGroupID.NotFound, InvalidParameter."""
    interface = call.backend.get_network_interface(call.parameter("NetworkInterfaceId"))
    assert isinstance(call.backend, InterfaceBackend)  # noqa: S101 - the backend class is ours
    call.backend._require_groups(interface.subnet, call.parameter("Groups") or [])
