"""The table: each cause, how it comes about in life, and the one diagnosis expected on each side.

The two causes of a first boot are not here: they share a boot of their own (test_diagnosis.py).
"""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from components.decisions.tunnel import TunnelProfile
from tests.scenarios.diagnosis import doors, ipsec_conf
from tests.scenarios.diagnosis.cause import WELL, Cause, Symptom
from tests.scenarios.operations import on_gateway
from tests.scenarios.sites import LEFT, RIGHT, Pair, Site

IPSEC_CONF = "/etc/ipsec.d/vpn.conf"
RESTART = "systemctl restart ipsec"
NAT_RULES = "iptables-save -t nat | grep ^-A"
KERNEL_KEYS = "sysctl net.ipv4.ip_forward; grep -v ^- /etc/sysctl.d/90-vpn-gateway.conf | cut -d= -f1 | xargs sysctl"


def wrong_psk(pair: Pair) -> AbstractContextManager[None]:
    """Give one side another pre-shared key, as a rotation by hand does that forgets the other."""
    return doors.edited(pair.uk, psk_file(pair.uk), with_other_psk, then=RESTART)


def psk_file(site: Site) -> str:
    """Return the path of a gateway's secrets file."""
    return f"/etc/ipsec.d/{site.connection}.secrets"


def with_other_psk(text: str) -> str:
    """Return a secrets file with a random key in the place of its own."""
    return re.sub(r'PSK ".*"', f'PSK "{secrets.token_hex(32)}"', text)


def other_profile(pair: Pair) -> AbstractContextManager[None]:
    """Give one side the other profile."""
    return doors.edited(
        pair.uk, IPSEC_CONF, lambda text: ipsec_conf.with_profile(text, TunnelProfile.ARTICLE_2014), then=RESTART
    )


def other_networks(pair: Pair) -> AbstractContextManager[None]:
    """Tell one side only a part of the other's network."""
    part = next(pair.au.network.subnets(new_prefix=24))
    return doors.edited(
        pair.uk, IPSEC_CONF, lambda text: ipsec_conf.with_keywords(text, {"rightsubnet": str(part)}), then=RESTART
    )


def no_udp(port: int, pair: Pair) -> AbstractContextManager[None]:
    """Take a UDP port out of one side's security group: its rule gets another one."""
    return doors.other_ingress_rule(
        pair.uk,
        pair.uk.gateway_eni,
        lambda rule: rule["IpProtocol"] == "udp" and rule["FromPort"] == port,
        FromPort=port + 1,
        ToPort=port + 1,
    )


def closed_private_host(pair: Pair) -> AbstractContextManager[None]:
    """Admit some other network than the peer's in the private host's security group."""
    return doors.other_ingress_rule(
        pair.uk,
        pair.uk.private_host_eni,
        lambda rule: rule.get("CidrIpv4") == str(pair.au.network),
        CidrIpv4="192.0.2.0/24",
    )


def exemption(pair: Pair) -> str:
    """Return the NAT exemption as an argument list of iptables(8), without the command."""
    return f"VPN-POSTROUTING -d {pair.au.network} -j ACCEPT"


def no_nat_exemption(pair: Pair) -> AbstractContextManager[None]:
    """Take away the exemption from NAT for what goes into the tunnel."""
    undo = "systemctl reload-or-restart vpn-filter"
    return doors.done_and_undone(pair.uk, f"iptables -w -t nat -D {exemption(pair)}", undo, shows=NAT_RULES)


def late_nat_exemption(pair: Pair) -> AbstractContextManager[None]:
    """Put the exemption behind the rule that it is to exempt from."""
    do = f"iptables -w -t nat -D {exemption(pair)}; iptables -w -t nat -A {exemption(pair)}"
    return doors.done_and_undone(pair.uk, do, "systemctl reload-or-restart vpn-filter", shows=NAT_RULES)


def no_forwarding(pair: Pair) -> AbstractContextManager[None]:
    """Switch forwarding off in the kernel, and with it what the kernel resets then (ip-sysctl, ip_forward)."""
    do, undo = "sysctl -qw net.ipv4.ip_forward=0", "systemctl restart vpn-filter vpn-sysctl"
    return doors.done_and_undone(pair.uk, do, undo, shows=KERNEL_KEYS)


def full_table(pair: Pair) -> AbstractContextManager[None]:
    """Let the table of connections hold one, which the gateway's own look is enough for."""
    do, undo = "sysctl -qw net.netfilter.nf_conntrack_max=1", "systemctl restart vpn-sysctl"
    return doors.done_and_undone(pair.uk, do, undo, shows=KERNEL_KEYS)


def no_daemon(pair: Pair) -> AbstractContextManager[None]:
    """Stop the daemon by hand."""
    # Not what systemd says of it: pluto is `reloading` for a moment after its start. That there is none is no error.
    shows = "pidof pluto >/dev/null && echo runs || true"
    return doors.done_and_undone(pair.uk, "systemctl stop ipsec", "systemctl start ipsec", shows=shows)


@contextmanager
def wrong_clock(pair: Pair) -> Iterator[None]:
    """Put the clock five years ahead."""
    try:
        on_gateway(pair.uk, "date -s '5 years'")
        yield
    finally:
        on_gateway(pair.uk, f"date -s @{time.time():.1f}")


UNFORWARDED = {
    LEFT: "^cause: the source/destination check of uk-gateway.* or the default route of uk's private route table",
    RIGHT: "^cause, on the other side: .*source/destination check of uk-gateway.*default route of uk's private",
}
"""What the pings say where uk's private host does not get to its gateway: one cannot be told from the other."""

CAUSES = (
    Cause(
        name="wrong pre-shared key",
        broken=wrong_psk,
        uk=Symptom("ike", "pre-shared key"),
        au=Symptom("ike", "pre-shared key"),
    ),
    Cause(
        name="security group without UDP 4500",
        broken=lambda pair: no_udp(4500, pair),
        uk=WELL,
        au=Symptom("peer", r"4500\W+(is )?silent"),
    ),
    Cause(
        name="security group without UDP 500",
        broken=lambda pair: no_udp(500, pair),
        uk=WELL,
        au=Symptom("peer", r"\b500\W+(is )?silent"),
    ),
    Cause(
        name="source/destination check on",
        broken=lambda pair: doors.source_dest_check_on(pair.uk),
        uk=WELL,
        au=WELL,
        pings=UNFORWARDED,
    ),
    Cause(
        name="no private default route",
        broken=lambda pair: doors.without_private_default_route(pair.uk),
        uk=WELL,
        au=WELL,
        pings=UNFORWARDED,
    ),
    Cause(name="no NAT exemption", broken=no_nat_exemption, uk=Symptom("nat", "ACCEPT|exempt"), au=WELL),
    Cause(name="NAT exemption after masquerade", broken=late_nat_exemption, uk=Symptom("nat", "order|after"), au=WELL),
    Cause(
        name="profiles differ",
        broken=other_profile,
        uk=Symptom("ike", "version|proposal"),
        au=Symptom("ike", "version|proposal"),
    ),
    Cause(
        name="networks differ",
        broken=other_networks,
        uk=Symptom("policy|ike", "network"),
        au=Symptom("policy|ike", "network"),
    ),
    Cause(name="forwarding off", broken=no_forwarding, uk=Symptom("sysctl", "ip_forward"), au=WELL),
    Cause(name="table of connections full", broken=full_table, uk=Symptom("conntrack", "full: 1 of 1"), au=WELL),
    Cause(
        name="daemon stopped",
        broken=no_daemon,
        uk=Symptom("daemon", "inactive|stopped|not running"),
        au=Symptom("peer", "refused|silent"),
    ),
    Cause(
        name="peer instance stopped",
        broken=lambda pair: doors.gateway_stopped(pair.uk),
        uk=WELL,
        absent=frozenset({LEFT}),
        au=Symptom("peer", "500.*silent.*4500.*silent|500 and 4500.*silent"),
        shown_by_up=False,
        heals_within=300.0,
    ),
    Cause(
        name="Elastic IP not associated",
        broken=lambda pair: doors.elastic_ip_disassociated(pair.uk),
        uk=Symptom("address", "."),
        au=Symptom("peer", "500.*silent.*4500.*silent|500 and 4500.*silent"),
        shown_by_up=False,
    ),
    Cause(
        name="MTU black hole",
        broken=lambda _: doors.internet_with("mtu-1300"),
        uk=Symptom("mtu", "."),
        au=Symptom("mtu", "."),
    ),
    Cause(
        name="private host's security group closed",
        broken=closed_private_host,
        uk=WELL,
        au=WELL,
        pings={RIGHT: r"^cause, on the other side: .*10\.1\.10\.41 .*security group"},
    ),
    # Last: it leaves a gap in the gateway's journal.
    Cause(name="clock five years off", broken=wrong_clock, uk=Symptom("clock", "."), au=WELL),
)
