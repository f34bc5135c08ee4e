"""The rules of a security group of the stand-in for `aws`: a program's blocks and the API's permissions."""

from typing import Any

from lab.resource_plugins.aws.permissions import blocks_of, permission_of, same_rules

GROUP = "sg-1"


def block(**changes: Any) -> dict[str, Any]:
    return {"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["192.0.2.0/24"], **changes}


def test_a_block_survives_the_conversion_to_a_permission_and_back() -> None:
    original = block(description="SSH", securityGroups=["sg-2"], self=True)
    assert blocks_of([permission_of(original, GROUP)], GROUP) == [original]


def test_a_rule_for_all_protocols_has_no_ports() -> None:
    permission = permission_of(block(protocol="all", fromPort=0, toPort=0), GROUP)
    assert permission == {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "192.0.2.0/24"}]}


def test_rules_are_the_same_in_any_order_and_with_a_protocol_number_but_differ_by_port() -> None:
    https = block(fromPort=443, toPort=443)
    assert same_rules([block(), https], [https, block(protocol="6")])
    assert not same_rules([block()], [https])
