"""Instances: states, refused launches, repeated launches, reboots, changes."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from lab.tests.unit.api_stack import Site, error_code, error_message, lab_path, uk, wait_for_state


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    site = uk(api)
    site.build_network()
    return site


def launch(site: Site, **parameters: Any) -> str:
    run: Any = site.ec2.run_instances
    request = {"ImageId": site.image_id, "InstanceType": "t3.nano", "MinCount": 1, "MaxCount": 1}
    if "NetworkInterfaces" not in parameters:
        request["SubnetId"] = site.ids["private_subnet"]
    return str(run(**{**request, **parameters})["Instances"][0]["InstanceId"])


def refusal(site: Site, **parameters: Any) -> tuple[str, str]:
    def run(**request: Any) -> None:
        launch(site, **request)

    return error_code(run, **parameters), error_message(run, **parameters)


def interfaces_of(site: Site, subnet: str) -> list[Any]:
    filters: Any = [{"Name": "subnet-id", "Values": [site.ids[subnet]]}]
    return list(site.ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"])


def state_of(ec2: Any, instance_id: str) -> str:
    [reservation] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    return str(reservation["Instances"][0]["State"]["Name"])


def test_every_state_can_be_seen(site: Site, step: Callable[[], None]) -> None:
    ec2, instance_id = site.ec2, launch(site)
    assert state_of(ec2, instance_id) == "pending"
    step()
    assert state_of(ec2, instance_id) == "running"
    [change] = ec2.stop_instances(InstanceIds=[instance_id])["StoppingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    assert state_of(ec2, instance_id) == "stopping"
    step()
    assert state_of(ec2, instance_id) == "stopped"
    [change] = ec2.start_instances(InstanceIds=[instance_id])["StartingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopped", "pending")
    assert state_of(ec2, instance_id) == "pending"
    step()
    assert state_of(ec2, instance_id) == "running"
    [change] = ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "shutting-down")
    assert state_of(ec2, instance_id) == "shutting-down"
    step()
    [reservation] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    [ended] = reservation["Instances"]
    assert (ended["State"]["Name"], ended["NetworkInterfaces"]) == ("terminated", [])
    assert "PrivateIpAddress" not in ended


def test_terminating_an_instance_deletes_its_own_interface(site: Site, step: Callable[[], None]) -> None:
    before = len(interfaces_of(site, "private_subnet"))
    instance_id = launch(site, PrivateIpAddress="10.1.10.41")
    step()
    assert "10.1.10.41" in [interface["PrivateIpAddress"] for interface in interfaces_of(site, "private_subnet")]
    site.ec2.terminate_instances(InstanceIds=[instance_id])
    assert len(interfaces_of(site, "private_subnet")) == before + 1, "the interface stays until the end"
    step()
    assert len(interfaces_of(site, "private_subnet")) == before


def test_an_interface_without_delete_on_termination_is_available_after_termination(site: Site) -> None:
    interface = {"DeviceIndex": 0, "SubnetId": site.ids["private_subnet"], "DeleteOnTermination": False}
    instance_id = launch(site, NetworkInterfaces=[interface])
    [attached] = wait_for_state(site.ec2, instance_id, "running")["NetworkInterfaces"]
    site.ec2.terminate_instances(InstanceIds=[instance_id])
    wait_for_state(site.ec2, instance_id, "terminated")
    [remaining] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[attached["NetworkInterfaceId"]])[
        "NetworkInterfaces"
    ]
    assert remaining["Status"] == "available"
    site.ec2.delete_network_interface(NetworkInterfaceId=attached["NetworkInterfaceId"])


def test_a_stopped_gateway_makes_its_route_a_blackhole(api: str) -> None:
    site = uk(api)
    site.build_network()
    site.build_identity()
    wait_for_state(site.ec2, site.launch(), "running")

    def states() -> list[str]:
        [table] = site.ec2.describe_route_tables(RouteTableIds=[site.ids["private_table"]])["RouteTables"]
        return [route["State"] for route in table["Routes"]]

    assert states() == ["active", "active"]
    site.ec2.stop_instances(InstanceIds=[site.ids["instance"]])
    stopped = wait_for_state(site.ec2, site.ids["instance"], "stopped")
    assert states() == ["active", "blackhole"]
    assert stopped["PublicIpAddress"] == site.ids["public_ip"], "an Elastic IP address stays"
    site.ec2.start_instances(InstanceIds=[site.ids["instance"]])
    wait_for_state(site.ec2, site.ids["instance"], "running")
    assert states() == ["active", "active"]


def test_reboots_are_counted_for_the_data_plane(api: str, site: Site, step: Callable[[], None]) -> None:
    instance_id = launch(site)
    assert error_code(site.ec2.reboot_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"
    step()
    before = lab_path(api, "/_lab/generation")
    assert instance_id not in before["reboots"]
    site.ec2.reboot_instances(InstanceIds=[instance_id])
    site.ec2.reboot_instances(InstanceIds=[instance_id])
    after = lab_path(api, f"/_lab/generation?after={before['generation']}&timeout=5")
    assert after["reboots"][instance_id] == 2
    assert after["generation"] > before["generation"]


def test_user_data_can_be_changed_only_while_the_instance_is_stopped(site: Site, step: Callable[[], None]) -> None:
    ec2, instance_id = site.ec2, launch(site, UserData=b"first")
    change = {"InstanceId": instance_id, "UserData": {"Value": b"\x00second\xff"}}
    assert error_code(ec2.modify_instance_attribute, **change) == "IncorrectInstanceState"
    step()
    ec2.stop_instances(InstanceIds=[instance_id])
    step()
    ec2.modify_instance_attribute(**change)  # type: ignore[arg-type]  # bytes, as boto3 takes them
    answer = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
    assert base64.b64decode(answer["UserData"]["Value"]) == b"\x00second\xff"
    too_long = {"InstanceId": instance_id, "UserData": {"Value": b"x" * 16385}}
    assert error_message(ec2.modify_instance_attribute, **too_long) == "User data is limited to 16384 bytes"


def test_changing_an_instances_source_dest_check_and_groups_changes_its_interface(site: Site) -> None:
    instance_id = launch(site)
    [interface] = wait_for_state(site.ec2, instance_id, "running")["NetworkInterfaces"]
    group = site.ec2.create_security_group(GroupName="other", Description="x", VpcId=site.ids["vpc"])["GroupId"]
    site.ec2.modify_instance_attribute(InstanceId=instance_id, SourceDestCheck={"Value": False})
    site.ec2.modify_instance_attribute(InstanceId=instance_id, Groups=[group])
    [changed] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface["NetworkInterfaceId"]])[
        "NetworkInterfaces"
    ]
    assert changed["SourceDestCheck"] is False
    assert [entry["GroupId"] for entry in changed["Groups"]] == [group]


def test_a_repeated_client_token_launches_nothing(site: Site) -> None:
    first = launch(site, ClientToken="once", UserData="a")
    assert launch(site, ClientToken="once", UserData="a") == first
    assert refusal(site, ClientToken="once", UserData="b")[0] == "IdempotentParameterMismatch"
    assert launch(site, ClientToken="twice", UserData="a") != first


def test_monitoring_can_be_switched_on_and_off(site: Site) -> None:
    instance_id = launch(site)
    site.ec2.monitor_instances(InstanceIds=[instance_id])
    assert wait_for_state(site.ec2, instance_id, "running")["Monitoring"]["State"] == "enabled"
    site.ec2.unmonitor_instances(InstanceIds=[instance_id])
    assert wait_for_state(site.ec2, instance_id, "running")["Monitoring"]["State"] == "disabled"


def test_without_a_block_device_mapping_the_root_volume_is_that_of_the_image(site: Site) -> None:
    instance = wait_for_state(site.ec2, launch(site), "running")
    assert instance["RootDeviceName"] == "/dev/xvda"
    [mapping] = instance["BlockDeviceMappings"]
    assert mapping["DeviceName"] == "/dev/xvda"
    [volume] = site.ec2.describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
    assert (volume["Size"], volume["Encrypted"]) == (8, False)


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        ({"UserData": b"x" * 16385}, "InvalidParameterValue", "User data is limited to 16384 bytes"),
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound", "'[ami-00000000000000000]' does not exist"),
        ({"ImageId": "debian"}, "InvalidAMIID.Malformed", 'Invalid id: "debian"'),
        ({"InstanceType": "t9.nano"}, "InvalidParameterValue", "Invalid value 't9.nano' for InstanceType."),
        ({"InstanceType": "t4g.nano"}, "InvalidParameterValue", "The architecture 'arm64' of the specified instance"),
        ({"KeyName": "none"}, "InvalidKeyPair.NotFound", "The key pair 'none' does not exist"),
        ({"IamInstanceProfile": {"Name": "none"}}, "InvalidParameterValue", "Invalid IAM Instance Profile name"),
        ({"SecurityGroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound", "'sg-00000000000000000'"),
        ({"SubnetId": "subnet-00000000000000000"}, "InvalidSubnetID.NotFound", "subnet-00000000000000000"),
        ({"PrivateIpAddress": "10.1.10.3"}, "InvalidParameterValue", "in subnet's reserved address range"),
        ({"PrivateIpAddress": "10.1.11.9"}, "InvalidParameterValue", "does not fall within the subnet's"),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": "eni-00000000000000000"}]},
            "InvalidNetworkInterfaceID.NotFound",
            "The networkInterface ID 'eni-00000000000000000' does not exist",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 4}}]},
            "InvalidBlockDeviceMapping",
            "expect size >= 8GB",
        ),
    ],
)
def test_a_refused_launch_leaves_nothing_behind(
    site: Site, parameters: dict[str, Any], code: str, message: str
) -> None:
    def counts() -> tuple[int, int, int]:
        return (
            len(site.ec2.describe_instances()["Reservations"]),
            len(site.ec2.describe_network_interfaces()["NetworkInterfaces"]),
            len(site.ec2.describe_volumes()["Volumes"]),
        )

    before = counts()
    actual_code, actual_message = refusal(site, **parameters)
    assert actual_code == code
    assert message in actual_message
    assert counts() == before


def test_an_instance_profile_without_a_role_is_refused(site: Site) -> None:
    site.iam.create_instance_profile(InstanceProfileName="empty")
    code, message = refusal(site, IamInstanceProfile={"Name": "empty"})
    assert (code, "has no associated IAM Roles" in message) == ("InvalidParameterValue", True)


def test_a_launch_with_an_existing_interface_needs_a_device_index_and_names_no_subnet(site: Site) -> None:
    created = site.ec2.create_network_interface(SubnetId=site.ids["private_subnet"])["NetworkInterface"]
    interface = {"DeviceIndex": 0, "NetworkInterfaceId": created["NetworkInterfaceId"]}
    code, _ = refusal(site, NetworkInterfaces=[interface], SubnetId=site.ids["private_subnet"])
    assert code == "InvalidParameterCombination"
    code, _ = refusal(site, NetworkInterfaces=[{"NetworkInterfaceId": created["NetworkInterfaceId"]}])
    assert code == "InvalidParameterValue"


def test_a_state_change_that_aws_refuses_is_refused_and_terminating_is_idempotent(
    site: Site, step: Callable[[], None]
) -> None:
    ec2, instance_id = site.ec2, launch(site)
    assert error_code(ec2.stop_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"
    step()
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert error_code(ec2.start_instances, InstanceIds=[instance_id]) == "IncorrectInstanceState"
    step()
    [again] = ec2.terminate_instances(InstanceIds=[instance_id])["TerminatingInstances"]
    assert again["CurrentState"]["Name"] == "terminated"
    unknown = "i-00000000000000000"
    assert (
        error_message(ec2.terminate_instances, InstanceIds=[unknown]) == f"The instance ID '{unknown}' does not exist"
    )
