"""The `aws` stand-in under the real engine, over the lab's API: both sides of a gateway pair, without machines.

Proves what the engine and a program see: previews, no-op, replacement, drift, deletion, import, errors, secrets, order
of destruction. Does not prove that AWS behaves as the API does. `pytest tests/engine/test_aws_plugin.py`; nothing to
clean up: stacks, plugins and the API live in the test's folder and end with it.
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
from tests.engine.aws_stack import LEFT, RIGHT, Wanted, program
from tests.engine.inline_stack import InlineStack

pytestmark = [pytest.mark.engine, pytest.mark.whole, pytest.mark.timeout(120)]

BOTH = Wanted()
ONE = BOTH.but(sides=BOTH.sides[:1])
RESOURCES_OF_ONE = 29
"""28 with the provider, and the stack."""
RESOURCES_OF_BOTH = 57


@pytest.fixture
def stack(aws_environment: dict[str, str], tmp_path: Path) -> Iterator[InlineStack]:
    made = InlineStack(tmp_path / "stack", ["aws"])
    yield made
    if "resources" in json.loads(made.state_text())["checkpoint"]["latest"]:
        made.destroy()


def client(service: str, region: str = LEFT) -> Any:
    return botocore.session.Session().create_client(service, region_name=region)


def described(instance_id: str, region: str = LEFT) -> dict[str, Any]:
    found = client("ec2", region).describe_instances(InstanceIds=[instance_id])["Reservations"]
    return dict(found[0]["Instances"][0])


def terminate(instance_id: str) -> None:
    client("ec2").terminate_instances(InstanceIds=[instance_id])
    deadline = time.monotonic() + 20
    while described(instance_id)["State"]["Name"] != "terminated":
        assert time.monotonic() < deadline, f"{instance_id} does not terminate"
        time.sleep(0.1)


def seen(stack: InlineStack, run: Callable[[], None]) -> dict[str, dict[str, str]]:
    """Run `up`; return what was done, by resource: `op` and the changed paths with their kind of difference."""
    found: dict[str, dict[str, str]] = {}

    def note(event: automation.EngineEvent) -> None:
        if event.resource_pre_event and event.resource_pre_event.metadata.op.value != "same":
            metadata = event.resource_pre_event.metadata
            name = metadata.urn.rpartition("::")[2]
            changed = {path: each.diff_kind.value for path, each in (metadata.detailed_diff or {}).items()}
            if metadata.type != "pulumi:pulumi:Stack":
                found.setdefault(name, {"op": str(metadata.op.value)}).update(changed)

    stack.up(run, on_event=note)
    return found


def summary(result: Any) -> dict[str, int]:
    changes = result.change_summary if isinstance(result, automation.PreviewResult) else result.summary.resource_changes
    return {getattr(operation, "value", operation): count for operation, count in changes.items()}


def test_two_regions_are_created_found_unchanged_refreshed_and_destroyed_without_a_trace(
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
    """One side, up; every test that uses it leaves it as `ONE` says."""
    made = InlineStack(tmp_path_factory.mktemp("one") / "stack", ["aws"])
    made.up(partial(program, ONE))
    yield made
    made.destroy()


def test_changes_in_place_are_told_by_path_and_change_nothing_else(one_side: InlineStack) -> None:
    wanted = ONE.but(
        ssh_range="192.0.2.99/32",
        secret="second-secret",  # noqa: S106 - a test's
        enable_dns_hostnames=False,
        http_tokens="optional",
        root_size=10,
        interface_groups=2,
        tags={"owner": "somebody"},
    )
    retagged = {"op": "update", "tags.owner": "add", "tags.purpose": "delete"}
    rule = {"op": "update", "cidrIpv4": "update"}
    bare = {"public", "private", "internet", "public-table", "private-table", "address", "role", "key"}
    assert seen(one_side, partial(program, wanted)) == {
        **{f"{LEFT}-{thing}": retagged for thing in bare},
        f"{LEFT}-group-1-ssh": rule,
        f"{LEFT}-group-2-ssh": rule,
        f"{LEFT}-secret": {**retagged, "value": "update"},
        f"{LEFT}-vpc": {**retagged, "enableDnsHostnames": "update"},
        f"{LEFT}-interface": {**retagged, "securityGroups": "update"},
        f"{LEFT}-instance": {
            **retagged,
            "metadataOptions.httpTokens": "update",
            "rootBlockDevice.volumeSize": "update",
        },
    }
    assert client("ssm").get_parameter(Name=f"/test/{LEFT}/secret", WithDecryption=True)["Parameter"]["Version"] == 2
    assert "second-secret" not in one_side.state_text()
    vpc = one_side.resources()[f"{LEFT}-vpc"]
    assert vpc["outputs"]["tagsAll"] == {"Name": f"{LEFT}-vpc", "owner": "somebody", "stack": "test"}
    one_side.up(partial(program, ONE))


def test_new_user_data_replaces_the_instance_alone_or_changes_it_with_a_stop_as_asked(one_side: InlineStack) -> None:
    before = one_side.resources()
    changed = seen(one_side, partial(program, ONE.but(user_data="#cloud-config\nhostname: other\n")))
    replaced = one_side.resources()
    assert {name: each["userData"] for name, each in changed.items()} == {f"{LEFT}-instance": "update-replace"}
    assert before[f"{LEFT}-instance"]["id"] != replaced[f"{LEFT}-instance"]["id"]
    assert before[f"{LEFT}-interface"]["id"] == replaced[f"{LEFT}-interface"]["id"]

    in_place = ONE.but(replace_on_change=False, instance_type="t3.small")
    assert seen(one_side, partial(program, in_place)) == {
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


def test_a_refresh_notices_what_was_changed_and_deleted_behind_its_back_and_up_repairs_it(
    one_side: InlineStack,
) -> None:
    ec2, ssm, made = client("ec2"), client("ssm"), one_side.resources()
    ec2.create_tags(Resources=[made[f"{LEFT}-vpc"]["id"]], Tags=[{"Key": "foreign", "Value": "1"}])
    interface = made[f"{LEFT}-interface"]["id"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, SourceDestCheck={"Value": True})
    ssm.put_parameter(Name=f"/test/{LEFT}/secret", Value="foreign-secret", Type="SecureString", Overwrite=True)
    rule, group = made[f"{LEFT}-group-1-ssh"]["id"], made[f"{LEFT}-group-1"]["id"]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])
    ec2.delete_route(RouteTableId=made[f"{LEFT}-private-table"]["id"], DestinationCidrBlock="0.0.0.0/0")
    terminate(made[f"{LEFT}-instance"]["id"])

    run = partial(program, ONE)
    refreshed = summary(one_side.refresh(run))
    assert (refreshed["delete"], refreshed["update"]) == (3, 3)
    assert "foreign-secret" not in one_side.state_text() + one_side.output
    assert seen(one_side, run) == {
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


def test_a_second_block_of_a_vpc_is_found_unchanged_imported_and_destroyed_after_its_subnet(
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
        found = vpc["CidrBlockAssociationSet"]
        return [each["CidrBlock"] for each in found if each["CidrBlockState"]["State"] == "associated"]

    first = partial(extended, "10.99.0.0/24")
    assert summary(stack.up(first)) == {"create": 4}
    assert summary(stack.refresh(first)) == {"same": 4}
    assert seen(stack, partial(extended, "10.97.0.0/24"))["more"] == {
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


def test_an_error_of_the_api_comes_whole_and_what_was_made_half_way_is_destroyed(
    stack: InlineStack, api: ApiProcess
) -> None:
    def half() -> None:
        options = pulumi.ResourceOptions(provider=aws.Provider("here", region=LEFT))
        aws.ec2.Eip("address", instance="i-0123456789abcdef0", opts=options)

    whole = r"\(InvalidInstanceID\.NotFound\) when calling the AssociateAddress operation: .*'i-0123456789abcdef0'"
    with pytest.raises(automation.CommandError, match=whole):
        stack.up(half)
    address = stack.resources()["address"]["id"]
    assert address in api.left_over(LEFT)
    stack.destroy()
    assert address not in api.left_over(LEFT)


def test_a_resource_type_the_stand_in_does_not_know_is_refused_by_name_at_preview(stack: InlineStack) -> None:
    def bucket() -> None:
        aws.s3.Bucket("bucket", opts=pulumi.ResourceOptions(provider=aws.Provider("here", region=LEFT)))

    with pytest.raises(automation.CommandError, match=r"'aws:s3/bucket:Bucket' is not supported.*aws:ec2/vpc:Vpc"):
        stack.preview(bucket)


def test_a_provider_without_usable_credentials_says_so(stack: InlineStack, monkeypatch: pytest.MonkeyPatch) -> None:
    def anything() -> None:
        provider = aws.Provider("here", region=LEFT)
        aws.ec2.KeyPair("key", public_key="ssh-ed25519 AAAA", opts=pulumi.ResourceOptions(provider=provider))

    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(automation.CommandError, match=f"unable to validate AWS credentials in {LEFT}"):
        stack.preview(anything)
