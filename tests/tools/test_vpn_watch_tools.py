"""vpn-watch's hands on both Debian releases: the real whack, a real pluto, ICMP in a network namespace.

Does not prove that a tunnel heals, which needs a guest's kernel (tests/scenarios). Needs root.
"""

import json
from dataclasses import replace

import pytest

from components.decisions.tunnel import TunnelProfile, connect
from lab.machines import toolroot
from tests.unit.gateway_documents import AU, UK, GatewayDocument, gateway_document, installed_files

PROGRAM = "/usr/local/lib/vpn-gateway/vpn_watch.py"

NETWORK = """
ip link set lo up
ip addr add 10.1.1.254/32 dev lo; ip addr add 172.31.12.198/32 dev lo
ip link add ens5 type veth peer name other; ip link set ens5 up; ip link set other up
ip addr add 192.0.2.1/24 dev ens5; ip route add default via 192.0.2.2
rm -f /etc/resolv.conf; : >/etc/resolv.conf
"""

PLUTO = """
ipsec checknss >/dev/null 2>&1 || ipsec --checknss >/dev/null 2>&1
mkdir -p /run/pluto
/usr/libexec/ipsec/pluto --config /etc/ipsec.conf --nofork --stderrlog 2>/tmp/log &
until ipsec status 2>/dev/null | grep -q '"uk-to-au"'; do sleep 0.2; done
"""


def _python(release: str, code: str, before: str = "", document: GatewayDocument | None = None) -> list[str]:
    prelude = (
        "import sys; sys.path.insert(0, '/usr/local/lib/vpn-gateway'); from vpn_watch import *; from pluto import *\n"
    )
    script = f"{NETWORK}{before}python3 /root/try.py; kill %1 2>/dev/null || true"
    files = installed_files(document or gateway_document()) | {"/root/try.py": prelude + code}
    done = toolroot.run(release, ["sh", "-uc", script], files=files)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_an_echo_is_answered_through_a_raw_socket_and_only_by_its_target(release: str) -> None:
    code = """
good, bad = (Echoes('10.1.1.254', target, only_target=True) for target in ('172.31.12.198', '192.0.2.9'))
def answer(echoes, seconds): return echoes.answer(time.monotonic() + seconds)
for number in 1, 2, 65535:
    good.send(number), bad.send(number)
    print(answer(good, 0.5), answer(bad, 0.1))
print(answer(good, 0.1))
"""
    assert _python(release, code) == ["1 None", "2 None", "65535 None", "None"]


def test_without_pluto_there_is_nothing_to_ask_and_nothing_to_do(release: str) -> None:
    code = "print(whack('--trafficstatus'), act(['uk-to-au'], 'initiate'), act(['uk-to-au'], 'reset'))"
    assert _python(release, code) == ["None False False"]


def test_pluto_is_asked_and_told_and_a_connection_that_it_does_not_know_is_noticed(release: str) -> None:
    code = """
print(inward('uk-to-au'))
print(act(['uk-to-nowhere'], 'initiate'), act(['uk-to-au', 'uk-to-nowhere'], 'reset'))
for step in 'initiate', 'reset', 'initiate':
    print(act(['uk-to-au'], step), '"uk-to-au"' in whack('--showstates'))
"""
    assert _python(release, code, PLUTO) == ["{}", "False False"] + ["True True"] * 3


def test_a_peer_whose_private_address_is_unknown_gets_no_echo_and_its_tunnel_is_not_up_without_an_sa(
    release: str,
) -> None:
    code = """
gateway = load()
watch = Watch(gateway, gateway.peers[0])
print(watch.echoes, watch.up(), watch.look())
print(act(watch.names, 'initiate'), watch.up())
"""
    hidden = gateway_document(peer=replace(AU, private_ip=""))
    assert _python(release, code, PLUTO, hidden) == ["None False None", "True False"]


def test_a_reset_leaves_the_policy_that_traps_what_would_leak(release: str) -> None:
    code = """
import subprocess
for step in 'initiate', 'reset':
    act(['uk-to-au'], step)
    print(subprocess.run(['ip', 'xfrm', 'policy'], capture_output=True, text=True).stdout.count('dst 172.31.0.0/16'))
"""
    assert _python(release, code, PLUTO) == ["1", "1"]


UK_TWO = replace(UK, cidr_blocks=("10.5.0.0/16", "10.1.0.0/16"))
AU_TWO = replace(AU, cidr_blocks=("172.31.0.0/17", "172.31.128.0/17"))
LAST = '"uk-to-au/10.1.0.0/16=172.31.128.0/17"'
"""The connection that is loaded last."""


@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_a_step_reaches_the_connections_of_all_pairs_of_ranges_and_the_first_owns_the_ike_sa(
    release: str, profile: TunnelProfile
) -> None:
    code = """
import re
gateway = load()
names = Watch(gateway, gateway.peers[0]).names
print(*names)
for step in 'initiate', 'reset', 'reset', 'initiate':
    told = act(names, step)
    time.sleep(0.3)
    states = whack('--showstates')
    owners = set(re.findall(r'#\\d+: "(\\S+)":', states))
    print(told, owners, len(re.findall(r'pending (?:child|ipsec) sa|pending phase 2', states.lower())))
whack('--terminate', '--name', names[1])
whack('--terminate', '--name', names[0])
time.sleep(0.3)
print(whack('--showstates').count('#'))
# Others begin by themselves when the IKE SA goes before they are down.
print(re.findall(r'"uk-to-au/\\S+" #\\d+: initiating.*', open('/tmp/log').read()))
"""
    document = gateway_document(UK_TWO, AU_TWO, profile)
    loaded = PLUTO.replace('"uk-to-au"', LAST)
    assert _python(release, code, loaded, document) == [
        "uk-to-au uk-to-au/others",
        *["True {'uk-to-au'} 4"] * 4,
        "0",
        "[]",
    ]


@pytest.mark.parametrize(
    ("local", "remote", "others"),
    [
        ("10.1.0.0/16", "172.31.0.0/16", []),
        ("10.5.0.0/16 10.1.0.0/16", "172.31.0.0/16", ["10.5.0.0/16=172.31.0.0/16"]),
        ("10.1.0.0/16", "172.31.0.0/20 172.31.16.0/20", ["10.1.0.0/16=172.31.16.0/20"]),
        (
            "10.1.0.0/24 10.1.1.0/24",
            "172.31.128.0/17 172.31.0.0/20",
            ["10.1.0.0/24=172.31.0.0/20", "10.1.0.0/24=172.31.128.0/17", "10.1.1.0/24=172.31.128.0/17"],
        ),
    ],
)
def test_pluto_has_a_connection_for_each_pair_of_ranges_that_is_what_its_name_says_and_no_other(
    release: str, local: str, remote: str, others: list[str]
) -> None:
    code = """
import re
gateway = load()
watch = Watch(gateway, gateway.peers[0])
print(watch.strays is not None, strays())
for name, here, there in sorted(re.findall(r'"(\\S+)": (\\S+?)===.*===(\\S+?);', whack('--status'))):
    print(name, here + '=' + there)
"""
    uk, au = replace(UK, cidr_blocks=tuple(local.split())), replace(AU, cidr_blocks=tuple(remote.split()))
    base = next(each for each in connect(uk, au, TunnelProfile.MODERN, postquantum=True).sections.values())
    loaded = PLUTO.replace('"uk-to-au"', f'"uk-to-au/{others[-1]}"') if others else PLUTO
    assert _python(release, code, loaded + "sleep 0.5\n", gateway_document(uk, au)) == [
        f"{bool(others)} 0",
        f"uk-to-au {base['leftsubnet']}={base['rightsubnet']}",
        *(f"uk-to-au/{pair} {pair}" for pair in others),
    ]


@pytest.mark.parametrize("text", ["{", "{}", json.dumps({"peers": [{}]}), "[]"])
def test_expectations_that_are_none_end_it_with_a_remedy(release: str, text: str) -> None:
    files = installed_files(gateway_document()) | {"/etc/vpn-gateway/gateway.json": text}
    done = toolroot.run(release, ["python3", PROGRAM], files=files)
    assert done.returncode == 1
    assert done.stderr.startswith("/etc/vpn-gateway/gateway.json is not what the user data writes (")
    assert "Traceback" not in done.stderr
