"""Security groups and their rules."""

from typing import Any

import pytest

from lab.tests.unit.api_stack import Site, error_code, error_message, uk


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    site = uk(api)
    site.build_network()
    return site


def make_group(site: Site, name: str) -> str:
    return site.ec2.create_security_group(GroupName=name, Description="x", VpcId=site.ids["vpc"])["GroupId"]


def authorize(site: Site, group: str, *permissions: dict[str, Any]) -> Any:
    call: Any = site.ec2.authorize_security_group_ingress
    return call(GroupId=group, IpPermissions=list(permissions))


def authorize_refusal(site: Site, group: str, *permissions: dict[str, Any]) -> tuple[str, str]:
    call: Any = site.ec2.authorize_security_group_ingress
    request = {"GroupId": group, "IpPermissions": list(permissions)}
    return error_code(call, **request), error_message(call, **request)


def test_a_rule_that_differs_only_in_its_description_is_a_duplicate(site: Site) -> None:
    group = make_group(site, "once")
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/24"}]}
    [added] = authorize(site, group, rule)["SecurityGroupRules"]
    assert added["CidrIpv4"] == "203.0.113.0/24"
    described = {**rule, "IpRanges": [{"CidrIp": "203.0.113.0/24", "Description": "again"}]}
    code, message = authorize_refusal(site, group, described)
    assert code == "InvalidPermission.Duplicate"
    assert message.startswith('the specified rule "peer: 203.0.113.0/24, TCP, from port: 22, to port: 22, ALLOW"')


def test_a_request_with_one_bad_rule_adds_none(site: Site) -> None:
    group = make_group(site, "atomic")
    good = {"IpProtocol": "udp", "FromPort": 500, "ToPort": 500, "IpRanges": [{"CidrIp": "198.51.100.1/32"}]}
    assert authorize_refusal(site, group, good, good)[0] == "InvalidPermission.Duplicate"
    [described] = site.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert described["IpPermissions"] == []
    other = {**good, "FromPort": 4500, "ToPort": 4500}
    assert len(authorize(site, group, good, other)["SecurityGroupRules"]) == 2


def test_protocols_and_ports_are_checked(site: Site) -> None:
    group, anywhere = make_group(site, "protocols"), [{"CidrIp": "0.0.0.0/0"}]
    for bad in (
        {"IpProtocol": "esp"},
        {"IpProtocol": "256"},
        {"IpProtocol": "tcp"},
        {"IpProtocol": "udp", "FromPort": 9, "ToPort": 8},
        {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 70000},
    ):
        assert authorize_refusal(site, group, {**bad, "IpRanges": anywhere})[0] == "InvalidParameterValue"
    good = ({"IpProtocol": "50"}, {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1}, {"IpProtocol": "47"})
    added = authorize(site, group, *({**rule, "IpRanges": anywhere} for rule in good))["SecurityGroupRules"]
    rules = [(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in added]
    assert rules == [("50", -1, -1), ("icmp", 8, -1), ("47", -1, -1)]


def test_a_rule_can_be_revoked_by_its_id_or_by_its_content(site: Site) -> None:
    ec2, group = site.ec2, make_group(site, "revoked")
    rule = {"IpProtocol": "50", "IpRanges": [{"CidrIp": "198.51.100.1/32"}]}
    [added] = authorize(site, group, rule)["SecurityGroupRules"]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[added["SecurityGroupRuleId"]])
    revoke: Any = ec2.revoke_security_group_ingress
    gone = {"GroupId": group, "SecurityGroupRuleIds": [added["SecurityGroupRuleId"]]}
    assert error_code(revoke, **gone) == "InvalidSecurityGroupRuleId.NotFound"
    authorize(site, group, rule)
    revoke(GroupId=group, IpPermissions=[rule])
    assert error_code(revoke, GroupId=group, IpPermissions=[rule]) == "InvalidPermission.NotFound"


def test_a_group_that_a_rule_of_another_group_names_cannot_be_deleted(site: Site) -> None:
    ec2, referenced, referencing = site.ec2, make_group(site, "referenced"), make_group(site, "referencing")
    rule = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": referenced, "Description": "friends"}]}
    [added] = authorize(site, referencing, rule)["SecurityGroupRules"]
    assert added["ReferencedGroupInfo"]["GroupId"] == referenced
    assert added["Description"] == "friends"
    assert error_code(ec2.delete_security_group, GroupId=referenced) == "DependencyViolation"
    ec2.delete_security_group(GroupId=referencing)
    ec2.delete_security_group(GroupId=referenced)
    groups: Any = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [site.ids["vpc"]]}])
    default = next(entry for entry in groups["SecurityGroups"] if entry["GroupName"] == "default")
    assert error_code(ec2.delete_security_group, GroupId=default["GroupId"]) == "CannotDelete"
