"""vpn-watch's hands on both Debian releases: the real whack, a real pluto, ICMP in a network namespace.

Does not prove that a tunnel heals, which needs a guest's kernel (tests/scenarios). Needs root.
"""

import json
from dataclasses import replace

import pytest

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
    code = "print(whack('--trafficstatus'), act('uk-to-au', 'initiate'), act('uk-to-au', 'reset'))"
    assert _python(release, code) == ["None False False"]


def test_pluto_is_asked_and_told_and_a_connection_that_it_does_not_know_is_noticed(release: str) -> None:
    code = """
print(inward('uk-to-au'))
print(act('uk-to-nowhere', 'initiate'), act('uk-to-nowhere', 'reset'))
for step in 'initiate', 'reset', 'initiate':
    print(act('uk-to-au', step), '"uk-to-au"' in whack('--showstates'))
"""
    assert _python(release, code, PLUTO) == ["{}", "False False"] + ["True True"] * 3


def test_a_reset_leaves_the_policy_that_traps_what_would_leak(release: str) -> None:
    code = """
import subprocess
for step in 'initiate', 'reset':
    act('uk-to-au', step)
    print(subprocess.run(['ip', 'xfrm', 'policy'], capture_output=True, text=True).stdout.count('dst 172.31.0.0/16'))
"""
    assert _python(release, code, PLUTO) == ["1", "1"]


def test_a_step_on_a_connection_of_several_networks_reaches_all_of_them(release: str) -> None:
    code = """
for step in 'initiate', 'reset':
    print(act('uk-to-au', step), whack('--showstates').lower().count('pending child sa'))
print('terminated 4 connections' in whack('--terminate', '--name', 'uk-to-au'))
"""
    networks = {"leftsubnets": "{10.1.0.0/16,10.5.0.0/16}", "rightsubnets": "{172.31.0.0/17,172.31.128.0/17}"}
    (one,) = gateway_document().connections
    keywords = {key: value for key, value in one.keywords.items() if not key.endswith("subnet")} | networks
    document = replace(gateway_document(), connections=(replace(one, keywords=keywords),))
    loaded = PLUTO.replace('"uk-to-au"', '"uk-to-au/2x2"')
    assert _python(release, code, loaded, document) == ["True 4", "True 4", "True"]


@pytest.mark.parametrize(
    ("local", "remote", "own", "ranges"),
    [
        ("10.1.0.0/16", "172.31.0.0/16", "uk-to-au", "10.1.0.0/16 172.31.0.0/16"),
        ("10.5.0.0/16 10.1.0.0/16", "172.31.0.0/16", "uk-to-au/2x0", "10.1.0.0/16 172.31.0.0/16"),
        ("10.1.0.0/16", "172.31.0.0/20 172.31.16.0/20", "uk-to-au/0x1", "10.1.0.0/16 172.31.0.0/20"),
        ("10.1.0.0/24 10.1.1.0/24", "172.31.128.0/17 172.31.0.0/20", "uk-to-au/2x2", "10.1.1.0/24 172.31.0.0/20"),
    ],
)
def test_the_pair_of_ranges_that_echoes_go_by_is_the_one_that_pluto_gives_that_name(
    release: str, local: str, remote: str, own: str, ranges: str
) -> None:
    code = """
gateway = load()
watch = Watch(gateway, gateway.peers[0])
name = watch.name + watch.tunnel.pair
print(name, watch.strays is not None, strays())
import re
print(*re.findall(rf'"{name}": (\\S+?)===.*===(\\S+?);', whack('--status'))[0])
"""
    uk, au = replace(UK, cidr_blocks=tuple(local.split())), replace(AU, cidr_blocks=tuple(remote.split()))
    loaded = PLUTO.replace('"uk-to-au"', f'"{own}"')
    assert _python(release, code, loaded, gateway_document(uk, au)) == [f"{own} {own != 'uk-to-au'} 0", ranges]


@pytest.mark.parametrize("text", ["{", "{}", json.dumps({"peers": [{}]}), "[]"])
def test_expectations_that_are_none_end_it_with_a_remedy(release: str, text: str) -> None:
    files = installed_files(gateway_document()) | {"/etc/vpn-gateway/gateway.json": text}
    done = toolroot.run(release, ["python3", PROGRAM], files=files)
    assert done.returncode == 1
    assert done.stderr.startswith("/etc/vpn-gateway/gateway.json is not what the user data writes (")
    assert "Traceback" not in done.stderr
