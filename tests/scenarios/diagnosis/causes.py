"""The table of causes: each with what breaks, the change that breaks it, the diagnosis of each side, and its alarms.

The causes that hold up a first boot share one boot, so they are in test_diagnosis.py.
"""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import PurePosixPath

from components.decisions.tunnel import TunnelProfile
from tests.scenarios.alarms import AU_DOWN, DOWN, UK_FAULT
from tests.scenarios.diagnosis import changes, ipsec_conf
from tests.scenarios.diagnosis.cause import WELL, Cause, Symptom
from tests.scenarios.sites import LEFT, RIGHT, Pair

Change = AbstractContextManager[None]

IPSEC_CONF, KEY_CONF = "/etc/ipsec.d/vpn.conf", "/etc/ipsec.d/vpn-key.conf"
RESTART = "systemctl restart ipsec"
NAT_RULES = "iptables-save -t nat | grep ^-A"
KERNEL_KEYS = "sysctl net.ipv4.ip_forward; grep -v ^- /etc/sysctl.d/90-vpn-gateway.conf | cut -d= -f1 | xargs sysctl"


def wrong_key(kind: str, pair: Pair) -> Change:
    def edit(text: str) -> str:
        return with_other_key(kind, text)

    return changes.edited(pair.uk.gateway, pair.uk.gateway.secrets_file, edit, then=RESTART)


def with_other_key(kind: str, text: str) -> str:
    """Return a secrets file with a random key in place of the real one. `kind` is its word in ipsec.secrets(5)."""
    return re.sub(f'{kind} "[^"]*"$', f'{kind} "{secrets.token_hex(32)}"', text, flags=re.MULTILINE)


@contextmanager
def other_profile(pair: Pair) -> Iterator[None]:
    def edit(text: str) -> str:
        return ipsec_conf.with_profile(text, TunnelProfile.ARTICLE_2014)

    uk = pair.uk.gateway
    # In that profile, no connection proves the key. It would answer au's IKEv2 with AUTHENTICATION_FAILED.
    remove, restore = f"mv {KEY_CONF} /run/", f"mv /run/{PurePosixPath(KEY_CONF).name} {KEY_CONF}; {RESTART}"
    with (
        changes.done_and_undone(uk, remove, restore, shows="ls /etc/ipsec.d"),
        changes.edited(uk, IPSEC_CONF, edit, then=RESTART),
    ):
        yield


def other_ranges(pair: Pair) -> Change:
    part = next(pair.au.network.subnets(new_prefix=24))

    def edit(text: str) -> str:
        return ipsec_conf.with_keywords(text, {"rightsubnet": str(part)})

    return changes.edited(pair.uk.gateway, IPSEC_CONF, edit, then=RESTART)


def no_udp(port: int, pair: Pair) -> Change:
    return changes.other_ingress_rule(
        pair.uk.gateway,
        pair.uk.gateway,
        lambda rule: rule["IpProtocol"] == "udp" and rule["FromPort"] == port,
        FromPort=port + 1,
        ToPort=port + 1,
    )


def closed_private_host(pair: Pair) -> Change:
    return changes.other_ingress_rule(
        pair.uk.gateway,
        pair.uk.private_host,
        lambda rule: rule.get("CidrIpv4") == str(pair.au.network),
        CidrIpv4="192.0.2.0/24",
    )


def exemption(pair: Pair) -> str:
    """Return the NAT exemption as arguments of iptables(8)."""
    return f"VPN-POSTROUTING -d {pair.au.network} -j ACCEPT"


def no_nat_exemption(pair: Pair) -> Change:
    do, undo = f"iptables -w -t nat -D {exemption(pair)}", "systemctl reload-or-restart vpn-filter"
    return changes.done_and_undone(pair.uk.gateway, do, undo, shows=NAT_RULES)


def late_nat_exemption(pair: Pair) -> Change:
    do = f"iptables -w -t nat -D {exemption(pair)}; iptables -w -t nat -A {exemption(pair)}"
    return changes.done_and_undone(pair.uk.gateway, do, "systemctl reload-or-restart vpn-filter", shows=NAT_RULES)


def no_forwarding(pair: Pair) -> Change:
    # The kernel then resets other keys, too (ip-sysctl, ip_forward).
    do, undo = "sysctl -qw net.ipv4.ip_forward=0", "systemctl restart vpn-filter vpn-sysctl"
    return changes.done_and_undone(pair.uk.gateway, do, undo, shows=KERNEL_KEYS)


def full_table(pair: Pair) -> Change:
    do, undo = "sysctl -qw net.netfilter.nf_conntrack_max=1", "systemctl restart vpn-sysctl"
    return changes.done_and_undone(pair.uk.gateway, do, undo, shows=KERNEL_KEYS)


def no_daemon(pair: Pair) -> Change:
    # Not systemd's word: to systemd, pluto is `reloading` for a moment after its start. No pluto is no error here.
    shows = "pidof pluto >/dev/null && echo runs || true"
    return changes.done_and_undone(pair.uk.gateway, "systemctl stop ipsec", "systemctl start ipsec", shows=shows)


@contextmanager
def wrong_clock(pair: Pair) -> Iterator[None]:
    try:
        pair.uk.gateway.run("date -s '5 years'")
        yield
    finally:
        pair.uk.gateway.run(f"date -s @{time.time():.1f}")


UNFORWARDED = {
    LEFT: "^cause: the source/destination check of uk-gateway.* or the default route of uk's private route table",
    RIGHT: "^cause, on the other side: .*source/destination check of uk-gateway.*default route of uk's private",
}
"""The pings' messages when uk's private host cannot reach its gateway. The two reasons cannot be told apart."""

CAUSES = (
    Cause(
        name="wrong pre-shared key",
        description="uk has another pre-shared key, as when a rotation by hand forgets a side",
        broken=lambda pair: wrong_key("PSK", pair),
        uk=Symptom("ike", "pre-shared key"),
        au=Symptom("ike", "pre-shared key"),
        alarms=frozenset(DOWN),
    ),
    Cause(
        name="wrong postquantum key",
        description="uk has another postquantum pre-shared key",
        broken=lambda pair: wrong_key('PPKS "vpn"', pair),
        uk=Symptom("ike", "pre-shared key"),
        au=Symptom("ike", "pre-shared key"),
        alarms=frozenset(DOWN),
    ),
    Cause(
        name="security group without UDP 4500",
        description="uk's rule for UDP 4500 admits another port",
        broken=lambda pair: no_udp(4500, pair),
        uk=WELL,
        au=Symptom("peer", r"4500\W+(is )?silent"),
    ),
    Cause(
        name="security group without UDP 500",
        description="uk's rule for UDP 500 admits another port",
        broken=lambda pair: no_udp(500, pair),
        uk=WELL,
        au=Symptom("peer", r"\b500\W+(is )?silent"),
    ),
    Cause(
        name="source/destination check on",
        description="the source/destination check of uk's gateway is on",
        broken=lambda pair: changes.source_dest_check_on(pair.uk.gateway),
        uk=WELL,
        au=WELL,
        pings=UNFORWARDED,
    ),
    Cause(
        name="no private default route",
        description="the route table of uk's private subnet has no default route",
        broken=lambda pair: changes.without_private_default_route(pair.uk),
        uk=WELL,
        au=WELL,
        pings=UNFORWARDED,
    ),
    Cause(
        name="no NAT exemption",
        description="uk's gateway masquerades packets for the tunnel, too",
        broken=no_nat_exemption,
        uk=Symptom("nat", "ACCEPT|exempt"),
        au=WELL,
        alarms=frozenset({UK_FAULT}),
    ),
    Cause(
        name="NAT exemption after masquerade",
        description="on uk's gateway the exemption from NAT comes after the rule that masquerades",
        broken=late_nat_exemption,
        uk=Symptom("nat", "order|after"),
        au=WELL,
        alarms=frozenset({UK_FAULT}),
    ),
    Cause(
        name="profiles differ",
        description="uk's connection has the profile article-2014",
        broken=other_profile,
        uk=Symptom("ike", "version|proposal"),
        au=Symptom("ike", "version|proposal"),
        alarms=frozenset({*DOWN, UK_FAULT}),
    ),
    Cause(
        name="networks differ",
        description="uk's connection names only a part of au's network",
        broken=other_ranges,
        uk=Symptom("policy|ike", "network"),
        au=Symptom("policy|ike", "network"),
        alarms=frozenset({*DOWN, UK_FAULT}),
    ),
    Cause(
        name="forwarding off",
        description="the kernel of uk's gateway does not forward",
        broken=no_forwarding,
        uk=Symptom("sysctl", "ip_forward"),
        au=WELL,
        alarms=frozenset({UK_FAULT}),
    ),
    Cause(
        name="table of connections full",
        description="the table of connections of uk's gateway holds one, which vpn-verify itself fills",
        broken=full_table,
        uk=Symptom("conntrack", r"full: \d+ of 1\b"),
        au=WELL,
        # Its call of CloudWatch needs connections, too.
        silent=frozenset({LEFT}),
    ),
    Cause(
        name="daemon stopped",
        description="ipsec on uk's gateway is stopped",
        broken=no_daemon,
        uk=Symptom("daemon", "inactive|stopped|not running"),
        au=Symptom("peer", "refused|silent"),
        alarms=frozenset({*DOWN, UK_FAULT}),
    ),
    Cause(
        name="peer instance stopped",
        description="the instance of uk's gateway is stopped",
        broken=lambda pair: changes.stopped(pair.uk.gateway),
        uk=WELL,
        absent=frozenset({LEFT}),
        au=Symptom("peer", "500.*silent.*4500.*silent|500 and 4500.*silent"),
        shown_by_up=False,
        heals_within=300.0,
        alarms=frozenset({AU_DOWN}),
        silent=frozenset({LEFT}),
    ),
    Cause(
        name="Elastic IP not associated",
        description="uk's Elastic IP is allocated, but not associated with the gateway",
        broken=lambda pair: changes.elastic_ip_disassociated(pair.uk.gateway),
        uk=Symptom("address", "."),
        au=Symptom("peer", "500.*silent.*4500.*silent|500 and 4500.*silent"),
        shown_by_up=False,
        alarms=frozenset({AU_DOWN}),
        silent=frozenset({LEFT}),
    ),
    Cause(
        name="MTU black hole",
        description="the Internet drops packets of more than 1300 bytes without a message",
        broken=lambda _: changes.internet_with("mtu-1300"),
        uk=Symptom("mtu", "."),
        au=Symptom("mtu", "."),
    ),
    Cause(
        name="private host's security group closed",
        description="the security group of uk's private host admits another network than au's",
        broken=closed_private_host,
        uk=WELL,
        au=WELL,
        pings={RIGHT: r"^cause, on the other side: .*10\.1\.10\.41 .*security group"},
    ),
    # Last, because it leaves a gap in the gateway's journal.
    Cause(
        name="clock five years off",
        description="the clock of uk's gateway is five years ahead",
        broken=wrong_clock,
        uk=Symptom("clock", "."),
        au=WELL,
        # AWS refuses what it signs.
        silent=frozenset({LEFT}),
    ),
)
