"""The order of deletion: a resource that others use cannot be deleted."""

from ipaddress import IPv4Network

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
    "DisassociateVpcCidrBlock",
    rule="A CIDR block cannot be taken from a VPC while a subnet is in it.",
    source="AWSEC2/latest/APIReference/API_DisassociateVpcCidrBlock.html",
)
def cidr_block_with_subnets_is_not_disassociated(call: Call) -> None:
    """InvalidCidrBlock.InUse."""
    association_id = call.parameter("AssociationId")
    blocks = {
        vpc.id: IPv4Network(association["cidr_block"])
        for vpc in call.backend.vpcs.values()
        for association in vpc.cidr_block_association_set
        if association["association_id"] == association_id
    }
    subnets = [each for each in call.backend.describe_subnets() if each.vpc_id in blocks]
    if any(IPv4Network(each.cidr_block).subnet_of(blocks[each.vpc_id]) for each in subnets):
        raise ec2_error(
            "InvalidCidrBlock.InUse",
            f"The vpc CIDR block with association ID {association_id} may not be disassociated. "
            "It is in use by a subnet",
        )


@refuses(
    "DeleteSecurityGroup",
    rule="A security group cannot be deleted while an interface has it or another group's rule names it; "
    "the default group can never be deleted.",
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
    in_use = any(group in interface._group_set for interface in call.backend.enis.values())
    others = [other for groups in call.backend.groups.values() for other in groups.values() if other is not group]
    if in_use or any(_names(other, group.id) for other in others):
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
        any(endpoint.vpc_id == vpc_id and endpoint.state != "deleted" for endpoint in backend.vpc_end_points.values()),
        any(interface.vpc_id == vpc_id for interface in backend.enis.values()),
    )
    if any(dependents):
        raise dependency_violation("vpc", vpc_id)
