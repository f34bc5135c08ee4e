"""One virtual machine and one host without user data, really booted in one VPC (minutes without KVM).

Proves that a guest recognises EC2, carries out its user data with packages from the lab's mirror, accepts commands
without its network, and survives reboot and stop/start. Does not prove a tunnel (tests/scenarios/test_article.py), nor
Nitro's hardware. Run as root: `pytest lab/tests/machines/test_machines.py`. Clean-up by hand: `ip netns` names that
start with `labvm-`, the interface `labvm-admin`, processes of qemu-system-x86_64 below the test's temporary directory.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lab import machines, settings
from lab.machines import reconciler, record
from lab.machines.channel import ChannelError
from lab.machines.image import ensure_image
from lab.network import Network, names, teardown
from lab.network.internet import InternetServices
from lab.tests.machines.own_network import UK, own_settings
from lab.tests.network_world import article
from lab.world import Instance, World

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

GATEWAY, HOST = UK.instance_id("gateway"), UK.instance_id("host")
USER_DATA = b"""#cloud-config
package_update: true
packages: [libreswan, iptables]
runcmd:
- [sh, -c, "date +%s >> /root/user-data-ran"]
"""
BOOT_SECONDS = 420.0


@dataclass
class DataPlane:
    """Applies its world repeatedly, as the lab's data plane does."""

    world: World
    stop_calls: list[str] = field(default_factory=list)
    """Instance ids of the StopInstances calls."""
    failures: list[BaseException] = field(default_factory=list)

    def run(self, stopping: threading.Event) -> None:
        """Apply the world until `stopping` is set."""
        network, all_machines = Network(), machines.Machines()
        network.apply(self.world)
        services = InternetServices(settings.API_PORT)
        services.start()
        try:
            while not stopping.wait(0.3):
                network.apply(self.world)
                all_machines.apply(self.world)
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            services.stop()
            all_machines.close()

    def change(self, instance_id: str, **changes: Any) -> None:
        """Change an instance of the world."""
        changed = tuple(replace(each, **changes) if each.id == instance_id else each for each in self.world.instances)
        self.world = replace(self.world, instances=changed)

    def stop_instances(self, InstanceIds: list[str]) -> None:  # noqa: N803 - boto3's name
        """Answer StopInstances in place of the API."""
        self.stop_calls += InstanceIds
        for instance_id in InstanceIds:
            self.change(instance_id, state="stopped")


def _world(key: str) -> World:
    def with_key(instance: Instance) -> Instance:
        return replace(instance, ssh_public_key=key)

    both_sides = article(uk=UK, user_data=USER_DATA)
    instances = tuple(with_key(each) for each in both_sides.instances if each.vpc_id == UK.vpc_id)
    return World(vpcs=both_sides.vpcs[:1], instances=instances)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def data_plane(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[DataPlane]:
    ensure_image("debian-13", print)
    running = DataPlane(_world(key.with_suffix(".pub").read_text()))
    with own_settings("labvm-", tmp_path_factory.mktemp("machines")) as patch:
        patch.setattr(reconciler, "client", lambda *_: running)
        stopping = threading.Event()
        thread = threading.Thread(target=running.run, args=(stopping,))
        thread.start()
        try:
            yield running
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
    """Return the gateway's boot id, or an empty text while it does not answer: a reboot may lose the command."""
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
    return next(status for status in machines.status() if status.id == instance_id).boot.startswith("booted in")


@pytest.fixture(scope="module")
def booted(data_plane: DataPlane) -> DataPlane:
    """Wait until the virtual machine's cloud-init has ended."""
    until(lambda: is_running(GATEWAY) and is_running(HOST))
    until(lambda: boot_finished(GATEWAY) or bool(data_plane.failures), BOOT_SECONDS)
    assert not data_plane.failures
    print(next(str(status) for status in machines.status() if status.id == GATEWAY))
    return data_plane


def test_a_host_runs_within_seconds_and_accepts_the_instances_ssh_key(data_plane: DataPlane, key: Path) -> None:
    until(lambda: is_running(HOST), 20)
    # The host counts as running from its first process on, whose first action sets the host name.
    until(lambda: run(HOST, "hostname", timeout=10) == "ip-10-1-10-41", 20)
    options = ["-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    prefix = ["ip", "netns", "exec", names.host_namespace(HOST)]
    ssh = ["ssh", *options, "-o", "ConnectionAttempts=5", f"admin@{UK.host}", "sudo", "id", "-u"]
    assert subprocess.run([*prefix, *ssh], capture_output=True, check=True).stdout == b"0\n"


def test_a_command_on_a_host_is_killed_with_all_its_processes_at_the_timeout(data_plane: DataPlane) -> None:
    until(lambda: is_running(HOST), 20)
    with pytest.raises(subprocess.TimeoutExpired):
        machines.execute(HOST, ["sh", "-c", "sleep 1234; true"], timeout=1.0)
    assert "1234" not in run(HOST, "ps", "-ax")


def test_user_data_is_carried_out_with_packages_from_the_mirror(booted: DataPlane) -> None:
    assert "status: done" in run(GATEWAY, "cloud-init", "status", "--wait", timeout=BOOT_SECONDS)
    assert len(run(GATEWAY, "cat", "/root/user-data-ran").splitlines()) == 1
    assert "Libreswan" in run(GATEWAY, "ipsec", "--version")
    assert run(GATEWAY, "sh", "-c", "apt-cache policy libreswan | grep -c lab.internal") == "1"


def test_the_guest_recognises_ec2(booted: DataPlane) -> None:
    assert run(GATEWAY, "cloud-init", "query", "v1.cloud_name") == "aws"
    assert run(GATEWAY, "cloud-init", "query", "v1.instance_id") == GATEWAY
    assert run(GATEWAY, "cat", "/sys/class/dmi/id/sys_vendor") == "Amazon EC2"
    assert run(GATEWAY, "hostname") == "ip-10-1-1-254"
    assert run(GATEWAY, "sudo", "-u", "admin", "sudo", "-n", "id", "-u") == "0"


def test_the_guests_interface_is_ens5_with_the_enis_address_and_jumbo_frames(booted: DataPlane) -> None:
    assert f"inet {UK.gateway}/24" in run(GATEWAY, "ip", "-o", "addr", "show", "dev", "ens5")
    assert run(GATEWAY, "cat", "/sys/class/net/ens5/mtu") == str(settings.INTERNAL_MTU)


def test_the_guests_clock_is_right(booted: DataPlane) -> None:
    assert abs(int(run(GATEWAY, "date", "+%s")) - time.time()) < 5


def test_commands_without_a_network_report_output_exit_code_and_signal(booted: DataPlane, tmp_path: Path) -> None:
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


def test_a_reboot_continues_the_console_log(booted: DataPlane) -> None:
    before, machine = boot_id(), record.find(GATEWAY)
    assert before
    size = machine.console.stat().st_size
    booted.change(GATEWAY, reboots=1)
    until(lambda: record.find(GATEWAY).reboots == 1, BOOT_SECONDS)
    until(lambda: boot_id() not in {"", before}, BOOT_SECONDS)
    assert len(run(GATEWAY, "cat", "/root/user-data-ran").splitlines()) == 1
    assert machine.console.stat().st_size > size
    assert machine.process is not None


def test_a_stopped_machine_keeps_its_disk(booted: DataPlane) -> None:
    run(GATEWAY, "sh", "-c", "echo kept > /root/kept; sync")
    booted.change(GATEWAY, state="stopping")
    until(lambda: not is_running(GATEWAY), 90)
    booted.change(GATEWAY, state="running")
    until(lambda: is_running(GATEWAY))
    assert run(GATEWAY, "cat", "/root/kept", timeout=BOOT_SECONDS) == "kept"


def test_an_instance_whose_guest_powers_itself_off_is_stopped(booted: DataPlane) -> None:
    until(lambda: boot_id() != "", BOOT_SECONDS)
    # Delayed, because the agent must still report the end of this command.
    run(GATEWAY, "systemd-run", "--on-active=2", "systemctl", "poweroff")
    until(lambda: booted.stop_calls == [GATEWAY], 90)
    until(lambda: not is_running(GATEWAY), 30)


def test_a_terminated_machine_leaves_only_its_console_log(booted: DataPlane) -> None:
    machine = record.find(GATEWAY)
    booted.change(GATEWAY, state="shutting-down")
    until(lambda: not is_recorded(GATEWAY), 20)
    assert not machine.directory.exists()
    assert machine.console.exists()
