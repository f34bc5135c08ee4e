"""The VPC's ruleset as text. Its effect on packets is tested in lab/tests/machines."""

from dataclasses import replace

import pytest

from lab.network import names, ruleset
from lab.tests.network_world import UK, article, rule, vpc, with_rules
from lab.world import SecurityGroupRule

GATEWAY = names.tap(UK.eni_id("gateway"))
HOST = names.tap(UK.eni_id("host"))
PORTS = {UK.eni_id("gateway"): GATEWAY, UK.eni_id("host"): HOST}


def chain(text: str, name: str) -> list[str]:
    body = text.split(f"  chain {name} {{\n", 1)[1].split("  }\n", 1)[0]
    return [line.strip() for line in body.splitlines()]


def ingress(allowed: SecurityGroupRule) -> list[str]:
    world = with_rules(article(), "sg-host-uk", [allowed])
    lines = chain(ruleset.render(world.vpcs[0], PORTS), "ingress")
    return [line for line in lines if HOST in line]


@pytest.mark.parametrize(
    ("allowed", "match"),
    [
        (rule(), "return"),
        (rule(peer="10.1.0.0/16"), "ip saddr { 10.1.0.0/16 } return"),
        (rule(protocol=6, ports=(22, 22)), "ip protocol 6 th dport 22-22 return"),
        (rule(protocol=17, ports=(0, 65535)), "ip protocol 17 return"),
        (rule(protocol=17, ports=(500, 4500), peer="203.0.113.10/32"), None),
        (rule(protocol=50), "ip protocol 50 return"),
        (rule(protocol=1), "ip protocol 1 return"),
        (rule(protocol=1, ports=(8, -1)), "icmp type 8 return"),
        (rule(protocol=1, ports=(3, 4)), "icmp type 3 icmp code 4 return"),
        (rule(peer="sg-gateway-uk"), f"ip saddr {{ {UK.gateway} }} return"),
    ],
)
def test_a_security_group_rule_becomes_one_match_on_the_members_ports(
    allowed: SecurityGroupRule, match: str | None
) -> None:
    expected = match or "ip saddr { 203.0.113.10/32 } ip protocol 17 th dport 500-4500 return"
    assert ingress(allowed) == [f'oifname {{ "{HOST}" }} {expected}']


def test_a_reference_to_a_group_without_members_allows_nothing() -> None:
    assert ingress(rule(peer="sg-empty")) == []


def test_a_group_without_rules_ends_in_a_counted_drop() -> None:
    world = with_rules(article(), "sg-host-uk", [])
    text = ruleset.render(world.vpcs[0], {UK.eni_id("host"): HOST})
    assert chain(text, "ingress") == ['counter name "security_group_ingress" drop']
    assert chain(text, "egress") == ['counter name "security_group_egress" drop']


def test_only_enis_with_the_source_destination_check_get_its_rules() -> None:
    text = ruleset.render(vpc(UK), PORTS)
    assert f'iifname "{HOST}" ip saddr != {UK.host} counter name "source_check" drop' in chain(text, "raw")
    assert f'oifname "{HOST}" ip daddr != {UK.host} counter name "destination_check" drop' in chain(text, "forward")
    assert not any("_check" in line for line in text.splitlines() if GATEWAY in line)


def test_without_an_internet_gateway_nothing_is_translated_and_nothing_leaves() -> None:
    text = ruleset.render(replace(vpc(UK), internet_gateway_id=None), PORTS)
    assert 'oifname "uplink" counter name "no_elastic_ip" drop' in chain(text, "forward")
    assert 'iifname "uplink" counter name "unknown_elastic_ip" drop' in chain(text, "raw")
    assert "dnat" not in text
    assert "snat" not in text


def test_only_addresses_with_an_elastic_ip_leave_the_vpc() -> None:
    forward = chain(ruleset.render(vpc(UK), PORTS), "forward")
    drop = f'oifname "uplink" ip saddr != {{ {UK.gateway} }} counter name "no_elastic_ip" drop'
    assert forward.index(drop) < forward.index("ct state established,related accept")


def test_every_drop_is_counted_under_a_declared_name() -> None:
    text = ruleset.render(vpc(UK), PORTS)
    drops = [line for line in text.splitlines() if line.endswith(" drop")]
    assert drops
    for line in drops:
        assert any(f'counter name "{counter}" drop' in line for counter in ruleset.COUNTERS), line
