"""Instances as AWS runs them: states take time, and addresses and groups belong to the primary network interface."""

import copy
from collections.abc import Callable
from typing import Any, Final

from moto.core.types import Base64EncodedString
from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.iam_instance_profile import IamInstanceProfileAssociation
from moto.ec2.models.instances import Instance, InstanceState, Reservation, StateReason
from moto.ec2.models.security_groups import SecurityGroup
from moto.ec2.utils import random_iam_instance_profile_association_id

from lab.api.corrections import corrects
from lab.api.state import JOURNAL, later

STATE_CODES: Final = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
"""Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html"""

_STATE_PAGE: Final = "AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html"
_INSTANCE_PAGE: Final = "AWSEC2/latest/APIReference/API_Instance.html"


class LivingInstance(Instance):
    """An instance whose states take time and whose addresses and groups are those of its interfaces."""

    def __init__(
        self,
        ec2_backend: Any,
        image_id: str,
        user_data: Base64EncodedString | None,
        security_groups: list[SecurityGroup],
        **kwargs: Any,
    ) -> None:
        self._launch_groups: list[SecurityGroup] = []
        self.nics = {}
        super().__init__(ec2_backend, image_id, user_data, security_groups, **kwargs)
        self._placement.zone = self.nics[0].availability_zone
        self._pass_through("pending", "running")

    @corrects("An instance is pending before it is running.", _STATE_PAGE)
    def start(self) -> InstanceState:
        previous = copy.copy(self._state)
        if previous.name == "stopped":
            for interface in self.nics.values():
                interface.start()
            self._reason, self.state_reason = "", StateReason()
            self._pass_through("pending", "running")
        return previous

    @corrects(
        "An instance is stopping before it is stopped, and keeps its interfaces, volumes and identity.", _STATE_PAGE
    )
    def stop(self) -> InstanceState:
        previous = copy.copy(self._state)
        if previous.name == "running":
            self._set_shutdown_reason()
            self._pass_through("stopping", "stopped", self._release_automatic_addresses)
        return previous

    @corrects(
        "Termination deletes an instance's own interface and volumes; an existing interface passed at launch becomes "
        "available again.",
        "AWSEC2/latest/UserGuide/terminating-instances.html",
    )
    def terminate(self) -> InstanceState:
        previous = copy.copy(self._state)
        if previous.name not in {"shutting-down", "terminated"}:
            self._set_shutdown_reason()
            self._pass_through("shutting-down", "terminated", self._finish_termination)
        return previous

    @corrects(
        "A reboot keeps the instance running; its operating system starts again.",
        "AWSEC2/latest/UserGuide/ec2-instance-reboot.html",
    )
    def reboot(self) -> None:
        JOURNAL.rebooted(self.id)

    def _pass_through(self, transitional: str, final: str, before_final: Callable[[], None] | None = None) -> None:
        state = InstanceState(transitional, STATE_CODES[transitional])
        self._state = state

        def enter_final_state() -> bool:
            if self._state is not state:
                return False
            if before_final:
                before_final()
            self._state = InstanceState(final, STATE_CODES[final])
            return True

        later(self.region_name, enter_final_state)

    def _set_shutdown_reason(self) -> None:
        self._reason = f"User initiated ({utcnow().strftime('%Y-%m-%d %H:%M:%S GMT')})"
        self.state_reason = StateReason(
            "Client.UserInitiatedShutdown: User initiated shutdown", "Client.UserInitiatedShutdown"
        )

    def _release_automatic_addresses(self) -> None:
        for interface in self.nics.values():
            interface.stop()

    def _finish_termination(self) -> None:
        super().terminate()
        for interface in list(self.nics.values()):
            self.detach_eni(interface)
        self.nics = {}
        self._subnet_id = None

    @corrects(
        "DeleteOnTermination is true by default for an interface created at launch, and false for an existing one.",
        "AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceSpecification.html",
    )
    def prep_nics(
        self,
        nic_spec: list[dict[str, Any]],
        private_ip: str | None = None,
        associate_public_ip: bool | None = None,
        security_groups: list[SecurityGroup] | None = None,
        ipv6_address_count: int | None = None,
    ) -> None:
        requested = {int(spec["DeviceIndex"]): spec.get("DeleteOnTermination") for spec in nic_spec}
        existing = {spec.get("NetworkInterfaceId") for spec in nic_spec}
        super().prep_nics(nic_spec, private_ip, associate_public_ip, security_groups, ipv6_address_count)
        for index, interface in self.nics.items():
            interface.delete_on_termination = interface.id not in existing and requested.get(index) is not False

    @corrects(
        "Without a block device mapping the root volume is that of the image.",
        "AWSEC2/latest/UserGuide/block-device-mapping-concepts.html",
    )
    def setup_defaults(self) -> None:
        for mapping in self.ec2_backend.amis[self.image_id].block_device_mappings:
            volume = mapping["Ebs"]
            self.add_block_device(
                volume["VolumeSize"],
                mapping["DeviceName"],
                volume["SnapshotId"],
                False,
                volume["DeleteOnTermination"],
                None,
                volume["VolumeType"],
            )

    def _primary(self) -> NetworkInterface | None:
        return self.nics.get(0)

    @property
    def security_groups(self) -> list[SecurityGroup]:
        """The primary interface's groups; changing them changes the interface's."""
        primary = self._primary()
        return list(primary._group_set) if primary else self._launch_groups

    @security_groups.setter
    def security_groups(self, groups: list[SecurityGroup]) -> None:
        primary = self._primary()
        if primary:
            primary._group_set = list(groups)
        else:
            self._launch_groups = list(groups)

    @property
    def source_dest_check(self) -> bool:
        """The primary interface's source/destination check; changing it changes the interface's."""
        primary = self._primary()
        return primary.source_dest_check if primary else True

    @source_dest_check.setter
    def source_dest_check(self, value: bool) -> None:
        primary = self._primary()
        if primary:
            primary.source_dest_check = str(value).lower() == "true"

    @property
    @corrects("A terminated instance has no private address.", _INSTANCE_PAGE)
    def private_ip(self) -> str | None:
        primary = self._primary()
        return primary.private_ip_address if primary else None

    @property
    @corrects("A terminated instance has no private address.", _INSTANCE_PAGE)
    def private_ip_address(self) -> str | None:
        return self.private_ip

    @property
    @corrects("A terminated instance has no private DNS name.", _INSTANCE_PAGE)
    def private_dns_name(self) -> str:
        return super().private_dns_name if self.private_ip else ""

    @property
    @corrects("A terminated instance has no public address.", _INSTANCE_PAGE)
    def public_ip(self) -> str | None:
        primary = self._primary()
        return primary.public_ip if primary else None

    @property
    @corrects("A terminated instance has no public address.", _INSTANCE_PAGE)
    def public_ip_address(self) -> str | None:
        return self.public_ip


class InstanceBackend(EC2Backend):
    """Launches of instances, and their instance profiles."""

    def __init__(self, region_name: str, account_id: str) -> None:
        self.launches_by_token: dict[str, tuple[str, Reservation]] = {}
        """Client token -> digest of the first request with it, and the instances that this request launched."""
        super().__init__(region_name, account_id)

    @corrects(
        "A launch that fails leaves nothing behind.",
        "AWSEC2/latest/APIReference/API_RunInstances.html",
    )
    def run_instances(
        self,
        image_id: str,
        count: int,
        user_data: Base64EncodedString | None,
        security_group_names: list[str],
        **kwargs: Any,
    ) -> Reservation:
        reservations = set(self.reservations)
        interfaces = set(self.enis)
        try:
            return super().run_instances(image_id, count, user_data, security_group_names, **kwargs)
        except Exception:
            for reservation_id in set(self.reservations) - reservations:
                del self.reservations[reservation_id]
            for interface_id in set(self.enis) - interfaces:
                self.delete_network_interface(interface_id)
            raise

    @corrects(
        "The Id of IamInstanceProfile is that of the profile, not of the association.",
        "AWSEC2/latest/APIReference/API_IamInstanceProfile.html",
    )
    def associate_iam_instance_profile(
        self,
        instance_id: str,
        iam_instance_profile_name: str | None = None,
        iam_instance_profile_arn: str | None = None,
    ) -> IamInstanceProfileAssociation:
        association = super().associate_iam_instance_profile(
            instance_id, iam_instance_profile_name, iam_instance_profile_arn
        )
        _set_profile(association)
        return association

    @corrects(
        "Replacing gives the instance the new profile through a new association.",
        "AWSEC2/latest/APIReference/API_ReplaceIamInstanceProfileAssociation.html",
    )
    def replace_iam_instance_profile_association(
        self,
        association_id: str,
        iam_instance_profile_name: str | None = None,
        iam_instance_profile_arn: str | None = None,
    ) -> IamInstanceProfileAssociation:
        association = super().replace_iam_instance_profile_association(
            association_id, iam_instance_profile_name, iam_instance_profile_arn
        )
        association.association_id = random_iam_instance_profile_association_id()
        _set_profile(association)
        return association


def _set_profile(association: IamInstanceProfileAssociation) -> None:
    profile = association.iam_instance_profile
    association.instance.iam_instance_profile = {"Arn": profile.arn, "Id": profile.id}
