"""The stand-in for `aws` with the real engine and the lab's API: both sides of a gateway pair, without machines.

Proves the behaviour for the engine and a program: previews, no-op, replacement, drift, deletion, import, errors,
secrets, order of destruction. Does not prove that AWS behaves as the API does. `pytest
tests/engine/test_aws_plugin.py`; nothing to clean up: stacks, plugins and the API are in the test's folder and end with
the test.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation

from tests.engine.api_process import ApiProcess
from tests.engine.aws_stack import LEFT, RIGHT, TRUST, Settings, program
from tests.engine.inline_stack import InlineStack

pytestmark = [pytest.mark.engine, pytest.mark.whole]

BOTH = Settings()
ONE = BOTH.but(sides=BOTH.sides[:1])
RESOURCES_OF_ONE = 29
"""28 including the provider, and the stack."""
RESOURCES_OF_BOTH = 57


@pytest.fixture
def stack(aws_environment: dict[str, str], tmp_path: Path) -> Iterator[InlineStack]:
    stack = InlineStack(tmp_path / "stack", ["aws"])
    yield stack
    if "resources" in json.loads(stack.state_text())["checkpoint"]["latest"]:
        stack.destroy()


def client(service: str, region: str = LEFT) -> Any:
    return botocore.session.Session().create_client(service, region_name=region)


def described(instance_id: str, region: str = LEFT) -> dict[str, Any]:
    reservations = client("ec2", region).describe_instances(InstanceIds=[instance_id])["Reservations"]
    return dict(reservations[0]["Instances"][0])


def terminate(instance_id: str) -> None:
    client("ec2").terminate_instances(InstanceIds=[instance_id])
    deadline = time.monotonic() + 600
    while described(instance_id)["State"]["Name"] != "terminated":
        assert time.monotonic() < deadline, f"{instance_id} does not terminate"
        time.sleep(0.1)


def changes_of_up(stack: InlineStack, run: Callable[[], None]) -> dict[str, dict[str, str]]:
    """Run `up`; return for each changed resource `op`, and the changed paths with the kind of each difference."""
    changes: dict[str, dict[str, str]] = {}

    def record(event: automation.EngineEvent) -> None:
        if event.resource_pre_event and event.resource_pre_event.metadata.op.value != "same":
            metadata = event.resource_pre_event.metadata
            name = metadata.urn.rpartition("::")[2]
            changed = {path: each.diff_kind.value for path, each in (metadata.detailed_diff or {}).items()}
            if metadata.type != "pulumi:pulumi:Stack":
                changes.setdefault(name, {"op": str(metadata.op.value)}).update(changed)

    stack.up(run, on_event=record)
    return changes


def summary(result: Any) -> dict[str, int]:
    changes = result.change_summary if hasattr(result, "change_summary") else result.summary.resource_changes
    return {getattr(operation, "value", operation): count for operation, count in changes.items()}


def test_two_regions_are_created_refreshed_found_unchanged_and_destroyed_without_leftovers(
    stack: InlineStack, api: ApiProcess
) -> None:
    run = partial(program, BOTH)
    assert summary(stack.preview(run)) == {"create": RESOURCES_OF_BOTH}
    created = stack.up(run)
    assert summary(created) == {"create": RESOURCES_OF_BOTH}
    assert summary(stack.refresh(run)) == {"same": RESOURCES_OF_BOTH}
    assert summary(stack.up(run)) == {"same": RESOURCES_OF_BOTH}

    for region, prefix in BOTH.sides:
        instance = described(created.outputs[f"{region}-instance"].value, region)
        assert instance["PublicIpAddress"] == created.outputs[f"{region}-ip"].value
        assert instance["PrivateIpAddress"] == f"{prefix}.1.254"
        assert {"Key": "stack", "Value": "test"} in instance["Tags"]
    assert BOTH.secret not in stack.state_text()

    assert summary(stack.destroy()) == {"delete": RESOURCES_OF_BOTH}
    assert api.left_over(LEFT) == api.left_over(RIGHT) == []


@pytest.fixture(scope="module")
def one_side(aws_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[InlineStack]:
    """Yield a stack of one side with the settings `ONE`, which every test that uses it restores."""
    stack = InlineStack(tmp_path_factory.mktemp("one") / "stack", ["aws"])
    stack.up(partial(program, ONE))
    yield stack
    stack.destroy()


def test_changes_in_place_are_shown_by_path_and_change_nothing_else(one_side: InlineStack) -> None:
    changed = ONE.but(
        ssh_range="192.0.2.99/32",
        secret="second-secret",  # noqa: S106 - a test's
        enable_dns_hostnames=False,
        http_tokens="optional",
        interface_groups=2,
        tags={"owner": "somebody"},
    )
    retagged = {"op": "update", "tags.owner": "add", "tags.purpose": "delete"}
    rule = {"op": "update", "cidrIpv4": "update"}
    only_tagged = {"public", "private", "internet", "public-table", "private-table", "address", "role", "key"}
    assert changes_of_up(one_side, partial(program, changed)) == {
        **{f"{LEFT}-{kind}": retagged for kind in only_tagged},
        f"{LEFT}-group-1-ssh": rule,
        f"{LEFT}-group-2-ssh": rule,
        f"{LEFT}-secret": {**retagged, "value": "update"},
        f"{LEFT}-vpc": {**retagged, "enableDnsHostnames": "update"},
        f"{LEFT}-interface": {**retagged, "securityGroups": "update"},
        f"{LEFT}-instance": {
            **retagged,
            "metadataOptions.httpTokens": "update",
        },
    }
    assert client("ssm").get_parameter(Name=f"/test/{LEFT}/secret", WithDecryption=True)["Parameter"]["Version"] == 2
    assert "second-secret" not in one_side.state_text()
    vpc = one_side.resources()[f"{LEFT}-vpc"]
    assert vpc["outputs"]["tagsAll"] == {"Name": f"{LEFT}-vpc", "owner": "somebody", "stack": "test"}
    one_side.up(partial(program, ONE))


def test_a_root_volume_grows_in_place_and_cannot_shrink(one_side: InlineStack) -> None:
    def instance() -> Any:
        return one_side.resources()[f"{LEFT}-instance"]

    def size() -> int:
        [mapping] = described(instance()["id"])["BlockDeviceMappings"]
        [volume] = client("ec2").describe_volumes(VolumeIds=[mapping["Ebs"]["VolumeId"]])["Volumes"]
        return int(volume["Size"])

    before = instance()["id"]
    assert changes_of_up(one_side, partial(program, ONE.but(root_size=10))) == {
        f"{LEFT}-instance": {"op": "update", "rootBlockDevice.volumeSize": "update"}
    }
    # The update ends when the new size counts, as with the real provider.
    assert (size(), instance()["id"]) == (10, before)
    with pytest.raises(automation.CommandError, match="New size cannot be smaller than existing size"):
        one_side.up(partial(program, ONE))
    assert size() == 10
    one_side.up(partial(program, ONE), replace=[instance()["urn"]])
    assert size() == ONE.root_size


def test_new_user_data_replaces_only_the_instance_or_changes_it_in_place_as_declared(one_side: InlineStack) -> None:
    before = one_side.resources()
    changed = changes_of_up(one_side, partial(program, ONE.but(user_data="#cloud-config\nhostname: other\n")))
    replaced = one_side.resources()
    assert {name: each["userData"] for name, each in changed.items()} == {f"{LEFT}-instance": "update-replace"}
    assert before[f"{LEFT}-instance"]["id"] != replaced[f"{LEFT}-instance"]["id"]
    assert before[f"{LEFT}-interface"]["id"] == replaced[f"{LEFT}-interface"]["id"]

    in_place = ONE.but(replace_on_change=False, instance_type="t3.small")
    assert changes_of_up(one_side, partial(program, in_place)) == {
        f"{LEFT}-instance": {
            "op": "update",
            "instanceType": "update",
            "userData": "update",
            "userDataReplaceOnChange": "update",
        }
    }
    kept = one_side.resources()[f"{LEFT}-instance"]
    assert (kept["id"], kept["outputs"]["instanceState"]) == (replaced[f"{LEFT}-instance"]["id"], "running")
    assert described(kept["id"])["InstanceType"] == "t3.small"
    one_side.up(partial(program, ONE))


def test_a_refresh_detects_changes_and_deletions_outside_pulumi_and_up_repairs_them(
    one_side: InlineStack,
) -> None:
    ec2, ssm, resources = client("ec2"), client("ssm"), one_side.resources()
    ec2.create_tags(Resources=[resources[f"{LEFT}-vpc"]["id"]], Tags=[{"Key": "foreign", "Value": "1"}])
    interface = resources[f"{LEFT}-interface"]["id"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, SourceDestCheck={"Value": True})
    ssm.put_parameter(Name=f"/test/{LEFT}/secret", Value="foreign-secret", Type="SecureString", Overwrite=True)
    rule, group = resources[f"{LEFT}-group-1-ssh"]["id"], resources[f"{LEFT}-group-1"]["id"]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])
    ec2.delete_route(RouteTableId=resources[f"{LEFT}-private-table"]["id"], DestinationCidrBlock="0.0.0.0/0")
    terminate(resources[f"{LEFT}-instance"]["id"])

    run = partial(program, ONE)
    refreshed = summary(one_side.refresh(run))
    assert (refreshed["delete"], refreshed["update"]) == (3, 3)
    assert "foreign-secret" not in one_side.state_text() + one_side.output
    assert changes_of_up(one_side, run) == {
        f"{LEFT}-vpc": {"op": "update", "tags.foreign": "delete"},
        f"{LEFT}-interface": {"op": "update", "sourceDestCheck": "update"},
        f"{LEFT}-secret": {"op": "update", "value": "update"},
        f"{LEFT}-group-1-ssh": {"op": "create"},
        f"{LEFT}-private-default": {"op": "create"},
        f"{LEFT}-instance": {"op": "create"},
    }
    assert summary(one_side.preview(run)) == {"same": RESOURCES_OF_ONE}


def test_a_vpc_and_its_route_table_association_are_imported_by_id(stack: InlineStack, api: ApiProcess) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Name", "Value": "old"}])
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.99.1.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    association = ec2.associate_route_table(SubnetId=subnet, RouteTableId=table)["AssociationId"]

    def adopt(*, imported: bool) -> None:
        def options(resource_id: str) -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions(provider=provider, import_=resource_id if imported else None)

        provider = aws.Provider("here", region=LEFT)
        aws.ec2.Vpc("vpc", cidr_block="10.99.0.0/16", tags={"Name": "old"}, opts=options(f"{vpc}@{LEFT}"))
        aws.ec2.Subnet("subnet", vpc_id=vpc, cidr_block="10.99.1.0/24", opts=options(subnet))
        aws.ec2.RouteTable("table", vpc_id=vpc, opts=options(table))
        aws.ec2.RouteTableAssociation(
            "association", subnet_id=subnet, route_table_id=table, opts=options(f"{subnet}/{table}")
        )

    assert summary(stack.up(partial(adopt, imported=True)))["import"] == 4
    assert summary(stack.up(partial(adopt, imported=False))) == {"same": 6}
    assert stack.resources()["vpc"]["id"] == vpc
    assert stack.resources()["association"]["id"] == association
    stack.destroy()
    assert vpc not in api.left_over(LEFT)


def test_a_second_block_of_a_vpc_is_refreshed_replaced_imported_and_destroyed_after_its_subnet(
    stack: InlineStack, api: ApiProcess
) -> None:
    vpc_id = client("ec2").create_vpc(CidrBlock="10.98.0.0/16")["Vpc"]["VpcId"]

    def extended(block: str, imported: str | None = None) -> None:
        provider = aws.Provider("here", region=LEFT)
        own = pulumi.ResourceOptions(provider=provider)
        adopted = pulumi.ResourceOptions(provider=provider, import_=imported)
        more = aws.ec2.VpcIpv4CidrBlockAssociation("more", vpc_id=vpc_id, cidr_block=block, opts=adopted)
        aws.ec2.Subnet("subnet", vpc_id=more.vpc_id, cidr_block=block, opts=own)

    def blocks() -> list[str]:
        (vpc,) = client("ec2").describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
        associations = vpc["CidrBlockAssociationSet"]
        return [each["CidrBlock"] for each in associations if each["CidrBlockState"]["State"] == "associated"]

    first = partial(extended, "10.99.0.0/24")
    assert summary(stack.up(first)) == {"create": 4}
    assert summary(stack.refresh(first)) == {"same": 4}
    assert changes_of_up(stack, partial(extended, "10.97.0.0/24"))["more"] == {
        "op": "create-replacement",
        "cidrBlock": "update-replace",
    }
    assert blocks() == ["10.98.0.0/16", "10.97.0.0/24"]
    stack.destroy()
    assert blocks() == ["10.98.0.0/16"]
    block = client("ec2").associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock="10.96.0.0/24")["CidrBlockAssociation"]
    assert summary(stack.up(partial(extended, "10.96.0.0/24", block["AssociationId"])))["import"] == 1
    stack.destroy()
    client("ec2").delete_vpc(VpcId=vpc_id)


def test_resources_and_look_ups_that_only_consumers_use_are_supported(stack: InlineStack) -> None:
    client("ssm").put_parameter(Name="/test/plain", Value="plain", Type="String", Overwrite=True)

    def consumer() -> None:
        provider = aws.Provider("here", region=LEFT)
        own, look_up = pulumi.ResourceOptions(provider=provider), pulumi.InvokeOptions(provider=provider)
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.95.0.0/16", opts=own)
        ssh = aws.ec2.SecurityGroupIngressArgs(
            protocol="tcp", from_port=22, to_port=22, cidr_blocks=["192.0.2.0/24"], self=True
        )
        aws.ec2.SecurityGroup("group", vpc_id=vpc.id, ingress=[ssh], opts=own)
        role = aws.iam.Role("role", assume_role_policy=json.dumps(TRUST), opts=own)
        partition = aws.get_partition(opts=look_up).partition
        policy = f"arn:{partition}:iam::aws:policy/ReadOnlyAccess"
        aws.iam.RolePolicyAttachment("attachment", role=role.name, policy_arn=policy, opts=own)
        pulumi.export("account", aws.get_caller_identity(opts=look_up).account_id)
        pulumi.export("parameter", aws.ssm.get_parameter(name="/test/plain", opts=look_up).insecure_value)

    outputs = stack.up(consumer).outputs
    assert (outputs["account"].value, outputs["parameter"].value) == ("123456789012", "plain")
    assert summary(stack.refresh(consumer)) == summary(stack.up(consumer)) == {"same": 6}
    attached = client("iam").list_attached_role_policies(RoleName=stack.resources()["role"]["id"])["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == ["ReadOnlyAccess"]


def test_an_error_of_the_api_is_shown_in_full_and_a_half_created_resource_is_destroyed(
    stack: InlineStack, api: ApiProcess
) -> None:
    def fails_half_way() -> None:
        options = pulumi.ResourceOptions(provider=aws.Provider("here", region=LEFT))
        aws.ec2.Eip("address", instance="i-0123456789abcdef0", opts=options)

    error = r"\(InvalidInstanceID\.NotFound\) when calling the AssociateAddress operation: .*'i-0123456789abcdef0'"
    with pytest.raises(automation.CommandError, match=error):
        stack.up(fails_half_way)
    address = stack.resources()["address"]["id"]
    assert address in api.left_over(LEFT)
    stack.destroy()
    assert address not in api.left_over(LEFT)


def test_an_unsupported_resource_type_is_refused_with_its_name_in_the_preview(stack: InlineStack) -> None:
    def bucket() -> None:
        aws.s3.Bucket("bucket", opts=pulumi.ResourceOptions(provider=aws.Provider("here", region=LEFT)))

    with pytest.raises(automation.CommandError, match=r"'aws:s3/bucket:Bucket' is not supported.*aws:ec2/vpc:Vpc"):
        stack.preview(bucket)


def test_a_provider_without_usable_credentials_fails_with_the_reason(
    stack: InlineStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def anything() -> None:
        provider = aws.Provider("here", region=LEFT)
        aws.ec2.KeyPair("key", public_key="ssh-ed25519 AAAA", opts=pulumi.ResourceOptions(provider=provider))

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(automation.CommandError, match=f"unable to validate AWS credentials in {LEFT}"):
        stack.preview(anything)
