"""The order of deletion: nothing goes while something else still needs it."""

from moto.ec2.models.security_groups import SecurityGroup

from lab.api.corrections import Call, refuses
from lab.api.errors import dependency_violation, ec2_error


@refuses(
    "DeleteSubnet",
    rule="A subnet cannot be deleted while it holds network interfaces.",
    source="AWSEC2/latest/APIReference/API_DeleteSubnet.html",
)
def subnet_with_interfaces_is_not_deleted(call: Call) -> None:
    """DependencyViolation."""
    subnet_id = call.parameter("SubnetId")
    if any(interface.subnet.id == subnet_id for interface in call.backend.enis.values()):
        raise dependency_violation("subnet", subnet_id)


@refuses(
    "DeleteSecurityGroup",
    rule="A security group cannot be deleted while an interface has it or another group's rule names it; "
    "the default group never.",
    source="AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html",
)
def security_group_in_use_is_not_deleted(call: Call) -> None:
    """CannotDelete, DependencyViolation."""
    name = call.parameter("GroupId") or call.parameter("GroupName") or ""
    group = call.backend.get_security_group_by_name_or_id(name)
    if group is None:
        return
    if group.is_default:
        raise ec2_error(
            "CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
        )
    held = any(group in interface._group_set for interface in call.backend.enis.values())
    others = [other for groups in call.backend.groups.values() for other in groups.values() if other is not group]
    if held or any(_names(other, group.id) for other in others):
        raise ec2_error("DependencyViolation", f"resource {group.id} has a dependent object")


def _names(group: SecurityGroup, group_id: str) -> bool:
    return any(rule.source_group.get("GroupId") == group_id for rule in (*group.ingress_rules, *group.egress_rules))


@refuses(
    "DeleteVpc",
    rule="A VPC can be deleted when only its main route table, default network ACL and default group are left.",
    source="AWSEC2/latest/APIReference/API_DeleteVpc.html",
)
def populated_vpc_is_not_deleted(call: Call) -> None:
    """DependencyViolation."""
    backend, vpc_id = call.backend, call.parameter("VpcId")
    if vpc_id not in backend.vpcs:
        return
    dependents = (
        any(subnet.vpc_id == vpc_id for subnet in backend.describe_subnets()),
        any(gateway.vpc and gateway.vpc.id == vpc_id for gateway in backend.internet_gateways.values()),
        any(table.vpc_id == vpc_id and not table.main_association_id for table in backend.route_tables.values()),
        any(not group.is_default for group in backend.groups.get(vpc_id, {}).values()),
        any(acl.vpc_id == vpc_id and not acl.default for acl in backend.network_acls.values()),
        any(end.vpc_id == vpc_id and end.state != "deleted" for end in backend.vpc_end_points.values()),
        any(interface.vpc_id == vpc_id for interface in backend.enis.values()),
    )
    if any(dependents):
        raise dependency_violation("vpc", vpc_id)
