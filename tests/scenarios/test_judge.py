"""The test of the test: the judge of the captures reports a packet filter that leaks.

In all tests uk has no daemon and no policies, as after `ipsec stop`. Only the packet filter is left.
"""

import time
from collections.abc import Iterator

import pytest

from tests.scenarios import ipsec, report, runner, sites
from tests.scenarios.captures import Captures, capturing, places
from tests.scenarios.scenario import BOTH_SEND
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream

pytestmark = [pytest.mark.brief, pytest.mark.timeout(1800)]

_SECONDS = 4.0
_PLAIN = "plain text for the other side leaves the gateway"
_MARKED = "the marker in the clear"
_PRIVATE_DESTINATION = "a private destination on the Internet"

_WITHOUT_OURS = """
for chain in INPUT FORWARD OUTPUT; do iptables -w -D $chain -j VPN-$chain; done
for chain in PREROUTING OUTPUT; do iptables -w -t raw -D $chain -j VPN-$chain; done
iptables -w -t nat -D POSTROUTING -j VPN-POSTROUTING
"""
_WITHOUT_THE_DROP = """
iptables -w -D VPN-FORWARD -d {remote} -m policy --dir out --pol none -j DROP
iptables -w -D VPN-FORWARD -d 172.16.0.0/12 -j REJECT --reject-with icmp-admin-prohibited
"""
_ARTICLE = f"""{_WITHOUT_OURS}
iptables -w -t nat -A POSTROUTING -o ens5 -s {{local}} -d {{remote}} -j ACCEPT
iptables -w -t nat -A POSTROUTING -o ens5 -s {{local}} -j MASQUERADE
"""
_EXEMPTION_BY_POLICY = f"""{_WITHOUT_OURS}
iptables -w -t nat -A POSTROUTING -m policy --dir out --pol ipsec -j ACCEPT
iptables -w -t nat -A POSTROUTING -o ens5 -s {{local}} -j MASQUERADE
"""


@pytest.fixture(scope="module")
def shared_pair(running_stack: None) -> Iterator[Pair]:
    """Remove the daemon and the policies from uk, and restore them after all tests."""
    pair = sites.find()
    with ipsec.without_tunnel(pair.uk.gateway):
        yield pair
    with Stream(pair) as stream:
        runner.settle(stream)


@pytest.fixture
def without_tunnel(shared_pair: Pair) -> Iterator[Pair]:
    """Yield the pair without daemon and policies on uk. Restore the gateway's own filter after each test.

    Flows that were tracked without the exemption keep their translation, and each stream has new flows.
    """
    yield shared_pair
    shared_pair.uk.gateway.run("iptables -w -t nat -F POSTROUTING; systemctl reload vpn-filter")


def seen_with(pair: Pair, rules: str) -> Captures:
    """Capture some seconds of a new stream while uk's filter is changed by `rules`."""
    if rules:
        pair.uk.gateway.run(rules.format(local=pair.uk.network, remote=pair.au.network))
    with (
        Stream(pair) as stream,
        capturing(places(pair), report.FOLDER / "captures" / "judge", stream.marker) as captures,
    ):
        stream.send(BOTH_SEND)
        time.sleep(_SECONDS)
    return captures


def reported(captures: Captures) -> set[tuple[str, str]]:
    """Return (place, rule) of all violations."""
    return {(violation.where, violation.rule) for violation in captures.violations}


def test_the_gateways_own_filter_leaks_nothing_without_daemon_and_policies(without_tunnel: Pair) -> None:
    captures = seen_with(without_tunnel, "")
    assert captures.packets > 0
    assert captures.violations == []


def test_a_missing_drop_rule_is_told(without_tunnel: Pair) -> None:
    # Behind it, the range is also one of the private ones to which nothing is forwarded.
    assert reported(seen_with(without_tunnel, _WITHOUT_THE_DROP)) == {("uk-gateway", _PLAIN), ("uk-gateway", _MARKED)}


def test_the_articles_two_rules_alone_are_told(without_tunnel: Pair) -> None:
    assert reported(seen_with(without_tunnel, _ARTICLE)) == {("uk-gateway", _PLAIN), ("uk-gateway", _MARKED)}


def test_an_exemption_by_policy_alone_is_told_also_in_the_internet(without_tunnel: Pair) -> None:
    captures = seen_with(without_tunnel, _EXEMPTION_BY_POLICY)
    assert reported(captures) >= {
        ("uk-gateway", _PLAIN),
        ("uk-gateway", _MARKED),
        ("internet", _PRIVATE_DESTINATION),
        ("internet", _MARKED),
    }
