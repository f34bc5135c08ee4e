"""What the gateway's own tools say of the files of a gateway without peers, and what its packet filter does.

Does not prove that a machine boots with them (tests/lab). Command: `make test-tools`; needs root, leaves nothing.
"""

from dataclasses import replace

from lab.machines import toolroot
from tests.tools.test_packet_filter import see
from tests.tools.test_userdata_tools import BOOT, TOLD
from tests.unit.gateway_documents import INLINE, one_rule_for_each_address
from tests.unit.test_nat_alone import alone

FILES = {file.path: file.text for file in alone().files}
RULES = FILES["/etc/vpn-gateway/filter.rules"]


def test_cloud_init_knows_every_key_of_the_document(release: str) -> None:
    for document in (alone(), alone(INLINE)):
        argv = ["cloud-init", "schema", "--config-file", "/root/user-data"]
        done = toolroot.run(release, argv, files={"/root/user-data": document.user_data})
        assert done.returncode == 0, done.stdout + done.stderr


def test_iptables_accepts_the_rules_and_prints_them_as_they_are_written(release: str) -> None:
    assert toolroot.run(release, ["iptables-restore", "--test", "--noflush"], stdin=RULES).returncode == 0
    # Twice, because a reload duplicates nothing.
    done = toolroot.run(release, ["sh", "-euc", "vpn-filter; vpn-filter; iptables-save"], files=FILES)
    printed = [line for line in done.stdout.splitlines() if line.startswith("-A ")]
    jumps = [f"-A {chain} -j VPN-{chain}" for chain in ("INPUT", "FORWARD", "POSTROUTING", "PREROUTING", "OUTPUT")]
    written = [line for line in one_rule_for_each_address(RULES).splitlines() if line.startswith("-A VPN-")]
    assert sorted(printed) == sorted([*jumps, *written]), done.stderr


def test_the_internet_is_masqueraded_and_private_addresses_are_refused(release: str) -> None:
    act = """
said["internet"] = heard("outside", lambda: ping("inside", HOST, ELSEWHERE))
said["answered"] = ping("inside", HOST, ELSEWHERE)
answers = []
said["private"] = heard("outside", lambda: answers.append(call("inside", HOST, "172.31.200.200", 80))) + answers
said["a stranger's"] = heard("outside", lambda: send("inside", (HOST, 40000), ELSEWHERE, 9))
"""
    assert see(release, act, alone()) == {
        "internet": ["192.0.2.1 > 192.0.2.2 icmp 8/0"],
        "answered": 2,
        "private": ["EHOSTUNREACH"],
        "a stranger's": ["192.0.2.1:40000 > 192.0.2.2:9"],
    }


def test_private_hosts_reach_no_port_of_the_gateway_but_administrators_do(release: str) -> None:
    act = """
ssh, other = (server("gateway", socket.SOCK_STREAM, port) for port in (22, 9100))
ike = server("gateway", socket.SOCK_DGRAM, 500)
said["ssh"] = [call("inside", HOST, GATEWAY, 22), call("inside", "10.1.1.6", GATEWAY, 22)]
said["another port"] = call("inside", HOST, GATEWAY, 9100)
send("inside", (HOST, 4501), GATEWAY, 500)
said["ike"] = got(ike)
said["echoes"] = ping("inside", HOST, GATEWAY)
"""
    document = replace(alone(), administrator_cidr_blocks=("10.1.1.6/32",))
    assert see(release, act, document) == {
        "ssh": ["EHOSTUNREACH", "open"],
        "another port": "EHOSTUNREACH",
        "ike": "",
        "echoes": 2,
    }


def test_the_boot_takes_its_steps_without_libreswan(release: str) -> None:
    done = toolroot.run(release, ["sh", "-uc", f"{BOOT}vpn-boot >/tmp/said{TOLD}"], files=FILES)
    asked, _, rest = done.stdout.partition("---\n")
    assert rest.endswith("state: done\n"), done.stdout + done.stderr
    assert not [line for line in asked.splitlines() if "ipsec" in line or "libreswan" in line or "watch" in line]
    steps = [line.split()[-1] for line in asked.splitlines()]
    assert steps == ["vpn-sysctl", "vpn-secrets", "update", "iputils-ping", "sync", "vpn-filter", "vpn-sysctl"]


def test_systemd_accepts_each_unit(release: str) -> None:
    units = [path for path in FILES if path.endswith(".service")]
    assert len(units) == 3
    argv = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    done = toolroot.run(release, argv, files=FILES)
    assert done.returncode == 0, done.stdout + done.stderr
