"""The article, start to finish: up, evidence, up again, a broken tunnel, a reboot, destroy.

Proves that `pulumi up` of the checkout's own program makes gateways that boot the rendered user data and carry the
private hosts' packets encrypted; that a tunnel which carries nothing is red and the layer is named; that destroy leaves
nothing. Does not prove: AWS's own hardware, prices, latency. By hand: `make lab`, `make lab-down`.
"""

import json
import subprocess
import time

import pytest

from lab import daemons, evidence, faults, hosts, processes, settings, stack
from lab.api.client import client

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

REGIONS = ("eu-west-2", "ap-southeast-2")


@pytest.fixture(scope="module", autouse=True)
def article(machine: None) -> None:
    """Deploy the article's stack in the lab, once for the tests of this file."""
    daemons.start()
    assert stack.up() == 0


def test_the_articles_evidence_holds() -> None:
    found = evidence.collect()
    assert found.failures == []
    written = json.loads((settings.EVIDENCE / "evidence.json").read_text())
    assert written["holds"] is True
    assert {path.name for path in settings.EVIDENCE.iterdir()} >= {
        "evidence.json",
        "ping-au-private-to-uk-private.txt",
        "ping-uk-private-to-au-private.txt",
        "tcpdump-au-private.txt",
        "tcpdump-uk-private.txt",
    }


def test_a_second_up_would_change_nothing() -> None:
    shown = stack.pulumi(["preview", "--stack", stack.STACK, "--expect-no-changes"], capture=True)
    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_a_refresh_finds_no_drift() -> None:
    shown = stack.pulumi(["refresh", "--stack", stack.STACK, "--yes", "--expect-no-changes"], capture=True)
    assert shown.returncode == 0, shown.stdout + shown.stderr


@pytest.mark.parametrize("gateway", ["uk-gateway", "au-gateway"])
def test_vpn_verify_says_that_every_layer_holds(gateway: str) -> None:
    asked = hosts.run(gateway, ["vpn-verify", "--json"], timeout=60)
    answer = json.loads(asked.stdout)
    assert asked.returncode == 0, answer
    assert {layer["status"] for layer in answer["layers"]} == {"ok"}


@pytest.mark.parametrize("private_host", ["uk-private", "au-private"])
def test_private_hosts_reach_the_internet_through_their_gateway(private_host: str) -> None:
    asked = hosts.run(
        private_host, ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"http://{settings.WEB_SERVER}/"]
    )
    assert asked.stdout == b"200", asked.stderr


def test_the_tunnels_route_outlives_a_restart_of_what_configures_the_interface() -> None:
    def route() -> str:
        return hosts.run("uk-gateway", ["ip", "route", "show", "172.31.0.0/16"]).stdout.decode()

    there = route()
    assert "mtu 1400" in there
    restart = ["systemctl", "restart", "systemd-networkd", "systemd-networkd-wait-online"]
    assert hosts.run("uk-gateway", restart).returncode == 0
    assert route() == there


def test_no_secret_stands_in_the_state_in_plain() -> None:
    exported = stack.pulumi(["stack", "export", "--stack", stack.STACK], capture=True).stdout
    assert "BEGIN OPENSSH PRIVATE KEY" not in exported
    psk = hosts.run("uk-gateway", ["sh", "-c", "cat /etc/ipsec.d/*.secrets"]).stdout.decode()
    value = psk.split("PSK", 1)[1].strip().strip('"').removeprefix("0x")
    assert len(value) >= 32
    assert value not in exported


def test_a_partition_turns_the_proof_red_and_names_the_layer_and_healing_turns_it_green() -> None:
    faults.inject("partition")
    try:
        asked = hosts.run("uk-gateway", ["vpn-verify", "--json"], timeout=90)
    finally:
        faults.heal()
    answer = json.loads(asked.stdout)
    assert asked.returncode != 0
    failed = [layer for layer in answer["layers"] if layer["status"] == "failed"]
    assert failed, answer
    assert all(layer["remedy"] for layer in failed)
    healed = hosts.run("uk-gateway", ["vpn-verify", "--json", "--wait", "120"], timeout=150)
    assert healed.returncode == 0, healed.stdout


def test_a_rebooted_gateway_carries_packets_again() -> None:
    ec2 = client("ec2", "eu-west-2")
    found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": ["uk-gateway"]}])["Reservations"]
    (instance_id,) = (i["InstanceId"] for r in found for i in r["Instances"] if i["State"]["Name"] == "running")
    boot = hosts.run("uk-gateway", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    ec2.reboot_instances(InstanceIds=[instance_id])
    deadline = time.monotonic() + 240
    while True:
        try:
            asked = hosts.run("uk-gateway", ["cat", "/proc/sys/kernel/random/boot_id"], timeout=5)
            if asked.returncode == 0 and asked.stdout not in (b"", boot):
                break
        except (subprocess.TimeoutExpired, OSError):
            pass
        assert time.monotonic() < deadline, "uk-gateway did not reboot"
        time.sleep(1)
    healed = hosts.run("uk-gateway", ["vpn-verify", "--json", "--wait", "180"], timeout=210)
    assert healed.returncode == 0, healed.stdout
    assert evidence.collect().failures == []


def test_destroy_leaves_nothing_in_the_api_and_down_leaves_nothing_on_the_machine() -> None:
    assert stack.destroy() == 0
    for region in REGIONS:
        ec2, ssm = client("ec2", region), client("ssm", region)
        assert ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"] == []
        assert ec2.describe_addresses()["Addresses"] == []
        assert ec2.describe_key_pairs()["KeyPairs"] == []
        assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
        assert ssm.describe_parameters()["Parameters"] == []
    iam = client("iam", REGIONS[0])
    assert iam.list_roles()["Roles"] == []
    assert iam.list_instance_profiles()["InstanceProfiles"] == []
    stack.forget()
    daemons.stop()
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert settings.NAMESPACE_PREFIX not in listed
    links = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    assert "lab" not in links
    assert str(settings.RUN) not in open("/proc/mounts").read()  # noqa: SIM115 - a kernel file, read once
    assert processes.names() == []
    assert not settings.RUN.exists()
