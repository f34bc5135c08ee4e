"""RunInstances: AWS's checks before a launch, and repeated requests that launch nothing."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS, INSTANCE_TYPES
from moto.ec2.models.instances import Reservation
from moto.ec2.responses import EC2Response
from moto.iam.exceptions import NotFoundException
from moto.iam.models import InstanceProfile, iam_backends

from lab.api import cpu_credits
from lab.api.corrections import Call, corrects, refuses
from lab.api.errors import ec2_error

USER_DATA_LIMIT: Final = 16384
"""Bytes, before base64. Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html"""

_RUN_PAGE: Final = "AWSEC2/latest/APIReference/API_RunInstances.html"


def require_user_data_size(user_data: bytes) -> None:
    """Raise InvalidParameterValue when raw user data is larger than AWS accepts."""
    if len(user_data) > USER_DATA_LIMIT:
        raise ec2_error("InvalidParameterValue", f"User data is limited to {USER_DATA_LIMIT} bytes")


class LaunchResponse(EC2Response):
    """RunInstances with client tokens, default subnets, instance profiles and the image's volumes."""

    @corrects(
        "A repeated request with the same client token returns the instances of the first request.",
        "ec2/latest/devguide/ec2-api-idempotency.html",
    )
    def run_instances(self) -> ActionResult:
        token = self._get_param("ClientToken")
        launches: dict[str, tuple[str, Reservation]] = self.ec2_backend.launches_by_token
        digest = self._digest()
        if token in launches:
            first_digest, reservation = launches[token]
            if digest != first_digest:
                raise ec2_error(
                    "IdempotentParameterMismatch",
                    f"Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
                    f" Client token: {token}",
                )
            return ActionResult(reservation)
        self._choose_default_subnet()
        result = super().run_instances()
        reservation = result.result  # type: ignore[assignment]  # moto says object
        self._associate_profile_with_further_instances(reservation)
        cpu_credits.set_at_launch(reservation.instances, self._get_param("CreditSpecification.CpuCredits"))
        if token:
            launches[token] = (digest, reservation)
        return result

    def _choose_default_subnet(self) -> None:
        """Use the default subnet of the requested zone, or else of the first zone, if the request names no subnet."""
        if self._get_param("SubnetId") or self._get_param("NetworkInterfaces"):
            return
        subnets = self.ec2_backend.get_default_subnets()
        zone = self._get_param("Placement.AvailabilityZone") or next(iter(sorted(subnets)), "")
        if zone not in subnets:
            raise ec2_error(
                "MissingInput", f"No subnets found for the default VPC in '{zone}'. Please specify a subnet."
            )
        params: Any = self.params
        params["SubnetId"] = subnets[zone].id

    def _digest(self) -> str:
        request = {name: value for name, value in self.querystring.items() if name != "ClientToken"}
        return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()

    def _associate_profile_with_further_instances(self, reservation: Reservation) -> None:
        # moto does it for the first instance only.
        name, arn = self._get_param("IamInstanceProfile.Name"), self._get_param("IamInstanceProfile.Arn")
        for instance in reservation.instances[1:] if name or arn else ():
            self.ec2_backend.associate_iam_instance_profile(instance.id, name, arn)

    @corrects(
        "The image supplies what a mapping leaves out about the root volume; a volume is deleted with its instance by "
        "default.",
        "AWSEC2/latest/APIReference/API_EbsBlockDevice.html",
    )
    def _parse_block_device_mapping(self) -> list[dict[str, Any]]:
        requested: list[dict[str, Any]] = self._get_param("BlockDeviceMappings", [])
        if not requested:
            return []
        image = self.ec2_backend.amis[self._get_param("ImageId")]
        image_volumes = {mapping["DeviceName"]: mapping["Ebs"] for mapping in image.block_device_mappings}
        requested_names = {mapping.get("DeviceName") for mapping in requested}
        missing = [{"DeviceName": name, "Ebs": {}} for name in image_volumes if name not in requested_names]
        return [_complete(mapping, image_volumes) for mapping in missing + requested]


def _complete(mapping: dict[str, Any], image_volumes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    name = mapping.get("DeviceName")
    if mapping.get("NoDevice") is not None:
        return {"DeviceName": name, "Ebs": {}, "NoDevice": ""}
    requested = dict(mapping.get("Ebs") or {})
    image_volume = image_volumes.get(str(name), {})
    defaults = {"VolumeType": "gp2", "DeleteOnTermination": True, "Encrypted": False, **image_volume}
    if not requested.get("VolumeSize") and not requested.get("SnapshotId") and name not in image_volumes:
        raise ec2_error("MissingParameter", "The request must contain the parameter size or snapshotId")
    minimum_size = image_volume.get("VolumeSize", 0)
    if int(requested.get("VolumeSize") or minimum_size) < minimum_size:
        raise ec2_error(
            "InvalidBlockDeviceMapping",
            f"Volume of size {requested['VolumeSize']}GB is smaller than snapshot "
            f"'{defaults['SnapshotId']}', expect size >= {minimum_size}GB",
        )
    return {
        "DeviceName": name,
        "Ebs": {**defaults, **{key: value for key, value in requested.items() if value is not None}},
    }


@refuses("RunInstances", rule="User data is limited to 16 KB before it is base64-encoded.", source=_RUN_PAGE)
def user_data_is_small_enough(call: Call) -> None:
    """InvalidParameterValue, InvalidUserData.Malformed."""
    try:
        require_user_data_size(base64.b64decode(call.parameter("UserData") or "", validate=True))
    except binascii.Error as error:
        raise ec2_error("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.") from error


@refuses("RunInstances", rule="The image must exist in the region.", source=_RUN_PAGE)
def image_exists(call: Call) -> None:
    """MissingParameter, InvalidAMIID.Malformed, InvalidAMIID.NotFound."""
    image_id = call.parameter("ImageId")
    if not image_id:
        raise ec2_error("MissingParameter", "The request must contain the parameter ImageId")
    if not image_id.startswith("ami-"):
        raise ec2_error("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
    if image_id not in call.backend.amis:
        raise ec2_error("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")


@refuses(
    "RunInstances",
    rule="The instance type must exist, be offered in the region and zone, and have the image's architecture.",
    source=_RUN_PAGE,
)
def instance_type_fits(call: Call) -> None:
    """InvalidParameterValue, Unsupported."""
    name = call.parameter("InstanceType") or "m1.small"
    instance_type = INSTANCE_TYPES.get(name)
    if instance_type is None:
        raise ec2_error("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    if not any(offer["InstanceType"] == name for offer in _offers(call, "region")):
        raise ec2_error(
            "Unsupported",
            "The requested configuration is currently not supported. Please check the documentation for supported "
            "configurations.",
        )
    zone = _zone(call)
    zones = [offer["Location"] for offer in _offers(call, "availability-zone") if offer["InstanceType"] == name]
    if zone and zone not in zones:
        raise ec2_error(
            "Unsupported",
            f"Your requested instance type ({name}) is not supported in your requested Availability Zone ({zone}). "
            f"Please retry your request by not specifying an Availability Zone or choosing {', '.join(sorted(zones))}.",
        )
    architecture = call.backend.amis[call.parameter("ImageId")].architecture
    supported = instance_type["ProcessorInfo"]["SupportedArchitectures"]
    if architecture not in supported:
        raise ec2_error(
            "InvalidParameterValue",
            f"The architecture '{','.join(supported)}' of the specified instance type does not match the architecture "
            f"'{architecture}' of the specified AMI. Specify an instance type and an AMI that have matching "
            "architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the "
            "architecture of the instance type or AMI.",
        )


def _offers(call: Call, kind: str) -> Sequence[dict[str, str]]:
    offers: Sequence[dict[str, str]] = INSTANCE_TYPE_OFFERINGS[kind].get(call.backend.region_name, ())
    return offers


def _zone(call: Call) -> str | None:
    """Return the zone of the launch's interface, subnet or placement; None when AWS chooses it."""
    interfaces = call.parameter("NetworkInterfaces") or [{}]
    interface_id = interfaces[0].get("NetworkInterfaceId")
    subnet_id = call.parameter("SubnetId") or interfaces[0].get("SubnetId")
    if interface_id:
        return str(call.backend.get_network_interface(interface_id).availability_zone)
    if subnet_id:
        return str(call.backend.get_subnet(subnet_id).availability_zone)
    zone: str | None = call.parameter("Placement.AvailabilityZone")
    return zone


@refuses("RunInstances", rule="The key pair must exist in the region.", source=_RUN_PAGE)
def key_pair_exists(call: Call) -> None:
    """InvalidKeyPair.NotFound."""
    name = call.parameter("KeyName")
    if name and name not in call.backend.key_pairs:
        raise ec2_error("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")


@refuses(
    "RunInstances",
    "AssociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
    rule="The instance profile must exist and have a role.",
    source="IAM/latest/UserGuide/troubleshoot_iam-ec2.html",
)
def instance_profile_is_usable(call: Call) -> None:
    """InvalidParameterValue."""
    name, arn = call.parameter("IamInstanceProfile.Name"), call.parameter("IamInstanceProfile.Arn")
    iam = iam_backends[call.backend.account_id][call.backend.partition]
    profile: InstanceProfile
    try:
        if name:
            profile = iam.get_instance_profile(name)
        elif arn:
            profile = iam.get_instance_profile_by_arn(arn)
        else:
            return
    except (NotFoundException, ServiceException) as error:
        kind = "name" if name else "arn"
        reason = {"name": "Invalid IAM Instance Profile name", "arn": "Invalid IAM Instance Profile ARN"}[kind]
        raise ec2_error(
            "InvalidParameterValue",
            f"Value ({name or arn}) for parameter iamInstanceProfile.{kind} is invalid. {reason}",
        ) from error
    if not profile.roles:
        raise ec2_error("InvalidParameterValue", f"IAM Instance Profile '{profile.arn}' has no associated IAM Roles")


@refuses(
    "RunInstances",
    rule="An existing interface passed at launch must be free and have a device index; a subnet, groups or addresses "
    "cannot be specified with it.",
    source="AWSEC2/latest/APIReference/API_InstanceNetworkInterfaceSpecification.html",
)
def existing_interfaces_are_free(call: Call) -> None:
    """InvalidParameterValue, InvalidParameterCombination, InvalidNetworkInterface.InUse."""
    specifications = call.parameter("NetworkInterfaces") or []
    instance_level = ("SubnetId", "SecurityGroupIds", "SecurityGroups", "PrivateIpAddress")
    if specifications and any(call.parameter(name) for name in instance_level):
        raise ec2_error(
            "InvalidParameterCombination",
            "Network interfaces and an instance-level subnet ID, private IP address or security groups may not be "
            "specified on the same request",
        )
    for specification in specifications:
        if specification.get("DeviceIndex") is None:
            raise ec2_error("InvalidParameterValue", "Each network interface requires a device index.")
        if specification.get("NetworkInterfaceId") is None:
            continue
        interface = call.backend.get_network_interface(specification["NetworkInterfaceId"])
        if interface.instance is not None:
            raise ec2_error("InvalidNetworkInterface.InUse", f"Interface: [{interface.id}] in use.")
        fixed = ("SubnetId", "Groups", "PrivateIpAddress", "AssociatePublicIpAddress")
        if any(specification.get(name) for name in fixed):
            raise ec2_error(
                "InvalidParameterCombination",
                "A network interface may not specify a network interface ID and a subnet, groups or an address",
            )
        if int(call.parameter("MaxCount") or 1) > 1:
            raise ec2_error(
                "InvalidParameterCombination", "Multiple instances creation with an existing interface is not possible"
            )


@refuses("RunInstances", rule="The security groups must exist in the subnet's VPC.", source=_RUN_PAGE)
def launch_groups_are_of_the_vpc(call: Call) -> None:
    """InvalidGroup.NotFound, InvalidParameter."""
    subnet_id = call.parameter("SubnetId")
    subnet = call.backend.get_subnet(subnet_id) if subnet_id else None
    for group_id in call.parameter("SecurityGroupIds") or []:
        group = call.backend.get_security_group_from_id(group_id)
        if group is None:
            raise ec2_error("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if subnet is not None and group.vpc_id != subnet.vpc_id:
            raise ec2_error(
                "InvalidParameter", f"Security group {group_id} and subnet {subnet_id} belong to different networks."
            )
