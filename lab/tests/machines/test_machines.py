"""One virtual machine and one cheap host, really booted in one VPC (minutes without KVM).

Proves that a guest takes itself for an EC2 instance, carries out its user data with packages from the lab's mirror, can
be commanded without its network, and survives reboot and stop/start. Does not prove a tunnel (test_article.py), nor
Nitro's hardware. Run: `pytest lab/tests/machines/test_machines.py` as root. Clean-up by hand: `ip netns` names starting
with `labvm-`, the interface `labvm-admin`, processes of qemu-system-x86_64 below the test's temporary directory.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab import machines, processes, settings
from lab.machines import reconciler, record
from lab.machines.channel import ChannelError
from lab.machines.image import ensure_image
from lab.network import Network, names, teardown
from lab.network.internet import InternetServices
from lab.tests.network_world import UK as ARTICLE_UK
from lab.tests.network_world import article
from lab.world import Instance, World

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

UK = replace(ARTICLE_UK, elastic_ip="198.19.113.10")
GATEWAY, HOST = UK.instance_id("gateway"), UK.instance_id("host")
USER_DATA = b"""#cloud-config
package_update: true
packages: [libreswan, iptables]
runcmd:
- [sh, -c, "date +%s >> /root/user-data-ran"]
"""
BOOT_SECONDS = 420.0


@dataclass
class Cloud:
    """Applies its world again and again, as the data plane does."""

    world: World
    calls: list[str] = field(default_factory=list)
    """Ids that StopInstances was called with."""
    failures: list[BaseException] = field(default_factory=list)

    def run(self, stopping: threading.Event) -> None:
        """Apply until told to stop."""
        network, fleet = Network(), machines.Machines()
        network.apply(self.world)
        services = InternetServices(settings.API_PORT)
        services.start()
        try:
            while not stopping.wait(0.3):
                network.apply(self.world)
                fleet.apply(self.world)
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            services.stop()
            fleet.close()

    def change(self, instance_id: str, **changes: Any) -> None:
        """Change an instance of the world."""
        changed = tuple(replace(each, **changes) if each.id == instance_id else each for each in self.world.instances)
        self.world = replace(self.world, instances=changed)

    def stop_instances(self, InstanceIds: list[str]) -> None:  # noqa: N803 - boto3's name
        """Answer StopInstances, as the API would."""
        self.calls += InstanceIds
        for instance_id in InstanceIds:
            self.change(instance_id, state="stopped")


def _world(key: str) -> World:
    def with_key(instance: Instance) -> Instance:
        return replace(instance, ssh_public_key=key)

    made = article(uk=UK, user_data=USER_DATA)
    ours = tuple(with_key(each) for each in made.instances if each.vpc_id == UK.vpc_id)
    return World(vpcs=made.vpcs[:1], instances=ours)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Cloud]:
    ensure_image("debian-13", print)
    scratch = tmp_path_factory.mktemp("machines")
    made = Cloud(_world(key.with_suffix(".pub").read_text()))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "NAMESPACE_PREFIX": "labvm-",
            "INTERNET_NAMESPACE": "labvm-internet",
            "ELASTIC_IP_POOLS": (IPv4Network("198.19.113.0/24"), IPv4Network("198.19.100.0/24")),
            "INTERNET": IPv4Network("198.19.0.0/24"),
            "ADMINISTRATOR": IPv4Address("198.19.0.10"),
            "ADMINISTRATOR_GATEWAY": IPv4Address("198.19.0.9"),
            "WEB_SERVER": IPv4Address("198.19.0.80"),
            "AWS_ENDPOINTS": IPv4Address("198.19.0.81"),
            "VPC_UPLINKS": IPv4Network("198.19.0.128/25"),
            "RUN": scratch / "run",
            "LOGS": scratch / "logs",
        }.items():
            patch.setattr(settings, name, value)
        patch.setattr(processes, "_RECORDS", settings.RUN / "processes")
        patch.setattr(reconciler, "client", lambda *_: made)
        stopping = threading.Event()
        thread = threading.Thread(target=made.run, args=(stopping,))
        thread.start()
        try:
            yield made
        finally:
            stopping.set()
            thread.join()
            machines.teardown.remove()
            teardown.remove()


def run(machine: str, *command: str, timeout: float = 60.0) -> str:
    finished = machines.execute(machine, command, timeout=timeout)
    assert finished.returncode == 0, finished
    return finished.stdout.decode().strip()


def boot_id() -> str:
    """Return the gateway's boot id, or nothing while it does not answer: what it was asked may be lost in a reboot."""
    try:
        return run(GATEWAY, "cat", "/proc/sys/kernel/random/boot_id", timeout=5)
    except (AssertionError, ChannelError, OSError, subprocess.TimeoutExpired):
        return ""


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.3)


def is_recorded(instance_id: str) -> bool:
    return record.load(instance_id) is not None


def is_running(instance_id: str) -> bool:
    machine = record.load(instance_id)
    return machine is not None and machine.process is not None


def boot_finished(instance_id: str) -> bool:
    return next(one for one in machines.status() if one.id == instance_id).boot.startswith("booted in")


@pytest.fixture(scope="module")
def booted(cloud: Cloud) -> Cloud:
    """Wait until the virtual machine's cloud-init has ended; everything after this needs no first boot."""
    until(lambda: is_running(GATEWAY) and is_running(HOST))
    until(lambda: boot_finished(GATEWAY) or bool(cloud.failures), BOOT_SECONDS)
    assert not cloud.failures
    print(next(str(one) for one in machines.status() if one.id == GATEWAY))
    return cloud


def test_a_host_is_there_within_seconds_and_takes_the_key_of_the_instance(cloud: Cloud, key: Path) -> None:
    until(lambda: is_running(HOST), 20)
    # It runs from its first process on; the name is that one's first act.
    until(lambda: run(HOST, "hostname", timeout=10) == "ip-10-1-10-41", 20)
    options = ["-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    inside = ["ip", "netns", "exec", names.host_namespace(HOST)]
    ssh = ["ssh", *options, "-o", "ConnectionAttempts=5", f"admin@{UK.host}", "sudo", "id", "-u"]
    assert subprocess.run([*inside, *ssh], capture_output=True, check=True).stdout == b"0\n"


def test_a_command_on_a_host_is_killed_with_all_it_started_at_its_deadline(cloud: Cloud) -> None:
    until(lambda: is_running(HOST), 20)
    with pytest.raises(subprocess.TimeoutExpired):
        machines.execute(HOST, ["sh", "-c", "sleep 1234; true"], timeout=1.0)
    assert "1234" not in run(HOST, "ps", "-ax")


def test_user_data_is_carried_out_with_packages_from_the_mirror(booted: Cloud) -> None:
    assert "status: done" in run(GATEWAY, "cloud-init", "status", "--wait", timeout=BOOT_SECONDS)
    assert len(run(GATEWAY, "cat", "/root/user-data-ran").splitlines()) == 1
    assert "Libreswan" in run(GATEWAY, "ipsec", "--version")
    assert run(GATEWAY, "sh", "-c", "apt-cache policy libreswan | grep -c lab.internal") == "1"


def test_the_guest_takes_itself_for_an_ec2_instance(booted: Cloud) -> None:
    assert run(GATEWAY, "cloud-init", "query", "v1.cloud_name") == "aws"
    assert run(GATEWAY, "cloud-init", "query", "v1.instance_id") == GATEWAY
    assert run(GATEWAY, "cat", "/sys/class/dmi/id/sys_vendor") == "Amazon EC2"
    assert run(GATEWAY, "hostname") == "ip-10-1-1-254"
    assert run(GATEWAY, "sudo", "-u", "admin", "sudo", "-n", "id", "-u") == "0"


def test_its_interface_is_ens5_with_the_eni_address_and_jumbo_frames(booted: Cloud) -> None:
    shown = run(GATEWAY, "ip", "-o", "addr", "show", "dev", "ens5")
    assert f"inet {UK.gateway}/24" in shown
    assert run(GATEWAY, "cat", "/sys/class/net/ens5/mtu") == str(settings.INTERNAL_MTU)


def test_its_clock_is_right(booted: Cloud) -> None:
    assert abs(int(run(GATEWAY, "date", "+%s")) - time.time()) < 5


def test_commands_report_output_exit_code_and_signal_also_without_a_network(booted: Cloud, tmp_path: Path) -> None:
    printed = tmp_path / "printed"
    run(GATEWAY, "ip", "link", "set", "ens5", "down")
    try:
        finished = machines.execute("uk-gateway", ["sh", "-c", "cat; echo bad >&2; exit 7"], stdin=b"in\x00\xff")
        assert (finished.returncode, finished.stdout, finished.stderr) == (7, b"in\x00\xff", b"bad\n")
        assert machines.execute(GATEWAY, ["sh", "-c", "kill -KILL $$"]).returncode == -9
        assert machines.execute(GATEWAY, ["no-such-command"]).returncode == 127
        with pytest.raises(subprocess.TimeoutExpired):
            machines.execute(GATEWAY, ["sleep", "4321"], timeout=2.0)
        assert "4321" not in run(GATEWAY, "ps", "-ax")
        with printed.open("wb") as file, printed.with_name("errors").open("wb") as errors:
            streams = machines.Streams(file, errors)
            script = ["sh", "-c", "cat; echo bad >&2; exit 7"]
            finished = machines.execute(GATEWAY, script, stdin=b"in\x00\xff", streams=streams)
            assert machines.execute(GATEWAY, ["no-such-command"], streams=streams).returncode == 127
            with pytest.raises(subprocess.TimeoutExpired):
                machines.execute(GATEWAY, ["sh", "-c", "echo begun; sleep 4322; true"], timeout=3.0, streams=streams)
        assert (finished.returncode, finished.stdout, printed.read_bytes()) == (7, b"", b"in\x00\xffbegun\n")
        assert printed.with_name("errors").read_bytes().startswith(b"bad\n")
        assert "4322" not in run(GATEWAY, "ps", "-ax")
        assert run(GATEWAY, "sh", "-c", "ls /run | grep -c lab-exec || true") == "0"
    finally:
        run(GATEWAY, "ip", "link", "set", "ens5", "up")


def test_a_reboot_boots_again_and_goes_on_in_the_same_console_log(booted: Cloud) -> None:
    before, machine = boot_id(), record.find(GATEWAY)
    assert before
    size = machine.console.stat().st_size
    booted.change(GATEWAY, reboots=1)
    until(lambda: record.find(GATEWAY).reboots == 1)
    until(lambda: boot_id() not in {"", before}, BOOT_SECONDS)
    assert len(run(GATEWAY, "cat", "/root/user-data-ran").splitlines()) == 1
    assert machine.console.stat().st_size > size
    assert machine.process is not None


def test_a_stopped_machine_starts_with_the_disk_it_had(booted: Cloud) -> None:
    run(GATEWAY, "sh", "-c", "echo kept > /root/kept; sync")
    booted.change(GATEWAY, state="stopping")
    until(lambda: not is_running(GATEWAY), 90)
    booted.change(GATEWAY, state="running")
    until(lambda: is_running(GATEWAY))
    assert run(GATEWAY, "cat", "/root/kept", timeout=BOOT_SECONDS) == "kept"


def test_a_machine_that_powers_itself_off_is_a_stopped_instance(booted: Cloud) -> None:
    until(lambda: boot_id() != "", BOOT_SECONDS)
    # In a while: the agent that would report the command's end goes with the machine.
    run(GATEWAY, "systemd-run", "--on-active=2", "systemctl", "poweroff")
    until(lambda: booted.calls == [GATEWAY], 90)
    until(lambda: not is_running(GATEWAY), 30)


def test_a_terminated_machine_leaves_its_console_log_only(booted: Cloud) -> None:
    machine = record.find(GATEWAY)
    booted.change(GATEWAY, state="shutting-down")
    until(lambda: not is_recorded(GATEWAY), 20)
    assert not machine.directory.exists()
    assert machine.console.exists()
