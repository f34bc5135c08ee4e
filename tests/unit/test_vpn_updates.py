"""vpn-updates: when it lets an upgrade begin, when it restarts or reboots, and what it sees of the machine.

Does not prove that apt and systemd do what the files say (tests/tools).
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

import expectations
from tests.unit.gateway_documents import gateway_document, installed_files
from vpn_updates import machine, main
from vpn_updates.decide import (
    HELD,
    NOTHING,
    OUTSIDE,
    REBOOT,
    RESTART,
    UPGRADE,
    Decision,
    Needs,
    Window,
    finish,
    may_upgrade,
)

NONE = Needs([], [])
KERNEL = Needs(["kernel 6.12.9 is installed"], [])
LIBRARY = Needs([], ["ipsec.service"])
IDLE = '006 #2: "uk-to-au", type=ESP, add_time=1, inBytes=0, outBytes=0, id=x'
"""What pluto says of a tunnel with a Child SA."""
DOWN = ["172.31.12.198 answers no ping through uk-to-au"]


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        (Window("02:00", "04:00"), ["02:00", "03:59"], ["01:59", "04:00", "14:00"]),
        (Window("23:00", "01:00"), ["23:00", "23:59", "00:00", "00:59"], ["22:59", "01:00", "12:00"]),
    ],
)
def test_a_window_has_its_begin_but_not_its_end(window: Window, inside: list[str], outside: list[str]) -> None:
    assert [window.contains(time) for time in inside + outside] == [True] * len(inside) + [False] * len(outside)


def test_an_upgrade_begins_in_the_window_while_every_tunnel_is_up() -> None:
    assert may_upgrade(inside=True, faults=[], installed=True) == Decision(UPGRADE)
    assert may_upgrade(inside=True, faults=DOWN, installed=True) == Decision(HELD, DOWN[0])
    assert may_upgrade(inside=False, faults=[], installed=True) == Decision(OUTSIDE)
    assert may_upgrade(inside=True, faults=[], installed=False).action == HELD


@pytest.mark.parametrize(
    ("inside", "faults", "needs", "action", "reason"),
    [
        (False, [], KERNEL, OUTSIDE, ""),
        (True, [], NONE, NOTHING, "no update needs it"),
        (True, DOWN, NONE, NOTHING, "no update needs it"),
        (True, [], KERNEL, REBOOT, "kernel 6.12.9 is installed"),
        (True, DOWN, KERNEL, HELD, DOWN[0]),
        (True, [], LIBRARY, RESTART, "ipsec.service"),
        # A restart of pluto does no harm to a tunnel that is down, and may be what it needs.
        (True, DOWN, LIBRARY, RESTART, "ipsec.service"),
        (True, [], Needs(KERNEL.reboot, LIBRARY.restart), REBOOT, "kernel 6.12.9 is installed"),
        (True, DOWN, Needs(KERNEL.reboot, LIBRARY.restart), RESTART, "ipsec.service"),
    ],
)
def test_what_follows_an_upgrade(inside: bool, faults: list[str], needs: Needs, action: str, reason: str) -> None:
    assert finish(inside=inside, faults=faults, needs=needs) == Decision(action, reason)


def process(root: Path, number: int, cgroup: str, *maps: str) -> None:
    folder = root / "proc" / str(number)
    folder.mkdir(parents=True)
    (folder / "cgroup").write_text(f"0::{cgroup}\n")
    (folder / "maps").write_text("".join(f"7f1c r-xp 00000000 fe:01 12 {each}\n" for each in maps))


def kernels(root: Path, *releases: str) -> None:
    (root / "boot").mkdir()
    for release in releases:
        (root / "boot" / f"vmlinuz-{release}").touch()


@pytest.mark.parametrize(
    ("running", "installed", "newest"),
    [
        # Debian 12 counts the kernel's ABI, Debian 13 has the version itself.
        ("6.1.0-9-cloud-amd64", ["6.1.0-9-cloud-amd64", "6.1.0-40-cloud-amd64"], "6.1.0-40-cloud-amd64"),
        ("6.12.9+deb13-cloud-amd64", ["6.12.48+deb13-cloud-amd64"], "6.12.48+deb13-cloud-amd64"),
        ("6.1.0-40-cloud-arm64", ["6.1.0-40-cloud-arm64", "6.1.0-9-cloud-arm64"], "6.1.0-40-cloud-arm64"),
        # GRUB's choice between flavours is the administrator's.
        ("6.1.0-9-cloud-amd64", ["6.1.0-9-cloud-amd64", "6.1.0-40-amd64", "6.1.0-41-rt-amd64"], "6.1.0-9-cloud-amd64"),
        ("6.1.0-9-cloud-amd64", [], "6.1.0-9-cloud-amd64"),
    ],
)
def test_the_newest_kernel_is_that_of_the_flavour_that_runs(
    tmp_path: Path, running: str, installed: list[str], newest: str
) -> None:
    kernels(tmp_path, *installed)
    assert machine.newest_kernel(tmp_path, running) == newest
    assert machine.needs(tmp_path, running).reboot == (
        [] if newest == running else [f"kernel {newest} is installed, and {running} runs"]
    )


def test_a_kernel_that_was_there_at_the_last_boot_is_no_reason_for_another_one(tmp_path: Path) -> None:
    kernels(tmp_path, "6.1.0-40-cloud-amd64")
    installed = (tmp_path / "boot/vmlinuz-6.1.0-40-cloud-amd64").stat().st_ctime
    for later, reasons in ((-1, 1), (+1, 0)):
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc/stat").write_text(f"cpu 1 2 3\nbtime {int(installed) + later}\n")
        assert len(machine.needs(tmp_path, "6.1.0-9-cloud-amd64").reboot) == reasons


def test_a_package_that_asks_for_a_reboot_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / machine.REQUIRED).touch()
    assert machine.needs(tmp_path).reboot == ["asked for by run/reboot-required"]
    (tmp_path / f"{machine.REQUIRED}.pkgs").write_text("linux-image-cloud-amd64\ndbus\n")
    assert machine.needs(tmp_path).reboot == ["asked for by linux-image-cloud-amd64, dbus"]


def test_a_service_that_runs_a_replaced_library_restarts_or_needs_a_reboot(tmp_path: Path) -> None:
    nss = "/usr/lib/x86_64-linux-gnu/libnss3.so"
    process(tmp_path, 1, "/init.scope", "/usr/lib/x86_64-linux-gnu/libc.so.6")
    process(tmp_path, 7, "/system.slice/ipsec.service", f"{nss} (deleted)")
    process(tmp_path, 8, "/system.slice/ssh.service", nss, "/var/data (deleted)", "/memfd:x.socket (deleted)")
    process(tmp_path, 13, "/system.slice/agent.service", "/opt/agent/libnetty.so (deleted)")
    process(tmp_path, 9, "/user.slice/user-1000.slice/session-3.scope", f"{nss} (deleted)")
    process(tmp_path, 10, "/")
    assert machine.needs(tmp_path) == Needs([], ["ipsec.service"])
    process(tmp_path, 11, "/system.slice/dbus.service", "/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)")
    process(tmp_path, 12, "/system.slice/dbus.service", "/usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)")
    assert machine.needs(tmp_path) == Needs(
        ["dbus.service runs libraries that are no longer installed"], ["ipsec.service"]
    )


class Peer:
    """The peer: how it answers echoes and probes, and what it was asked."""

    def __init__(self) -> None:
        self.answers: list[bool] = [True]
        self.ports = {500: "answers", 4500: "answers"}
        self.sent: list[int] = []


@pytest.fixture
def gateway(tmp_path: Path) -> expectations.Gateway:
    """Give what a gateway expects of itself."""
    path = tmp_path / "gateway.json"
    path.write_text(installed_files(gateway_document())[expectations.PATH])
    return expectations.load(str(path))


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Peer:
    """Give a peer that answers, in place of the network."""
    made = Peer()

    class Echoes:
        def __init__(self, source: str, target: str, *, only_target: bool) -> None:
            assert (source, target, only_target) == ("10.1.1.254", "172.31.12.198", True)
            self.socket = open("/dev/null")  # noqa: SIM115 - closed by the code under test

        def send(self, number: int) -> None:
            made.sent.append(number)

        def answer(self, _deadline: float) -> int | None:
            return made.sent[-1] if made.answers[min(len(made.sent), len(made.answers)) - 1] else None

    monkeypatch.setattr(machine, "Echoes", Echoes)
    monkeypatch.setattr(machine, "probe", lambda _address, port: made.ports[port])
    return made


def test_a_tunnel_is_up_when_one_of_several_echoes_is_answered(gateway: expectations.Gateway, peer: Peer) -> None:
    peer.answers = [False, False, True]
    assert machine.faults(gateway) == []
    assert peer.sent == [0, 1, 2]


def test_a_peer_whose_daemon_is_silent_is_ill(gateway: expectations.Gateway, peer: Peer) -> None:
    peer.ports[4500] = "silent"
    assert machine.faults(gateway) == ["the IKE daemon of 198.51.100.20 does not answer on UDP port 4500"]


def test_a_peer_whose_address_is_unknown_is_well_with_a_child_sa_and_a_daemon_that_answers(
    gateway: expectations.Gateway, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = gateway._replace(peers=[each._replace(private_ip="") for each in gateway.peers])

    def faults(status: str | None) -> list[str]:
        monkeypatch.setattr(machine, "whack", lambda _: status)
        return machine.faults(hidden)

    assert faults(IDLE) == []
    for status in ("", None, '006 #2: "uk-to-au", type=ESP'):
        assert faults(status) == ["uk-to-au has no Child SA"]
    peer.ports[500] = "silent"
    assert faults(IDLE) == ["the IKE daemon of 198.51.100.20 does not answer on UDP port 500"]
    assert peer.sent == []


@pytest.mark.parametrize(
    ("status", "faults"),
    [
        (IDLE, DOWN),
        # Seen on a machine whose peer had lost its daemon.
        ("", ["uk-to-au has no Child SA"]),
    ],
)
def test_a_peer_that_answers_no_echo_is_ill_and_a_missing_sa_is_the_reason(
    status: str, faults: list[str], gateway: expectations.Gateway, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.answers = [False]
    monkeypatch.setattr(machine, "whack", lambda _: status)
    assert machine.faults(gateway) == faults


def test_a_ping_that_cannot_be_sent_is_a_fault(gateway: expectations.Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str, **__: bool) -> None:
        raise OSError("Cannot assign requested address")

    monkeypatch.setattr(machine, "Echoes", refuse)
    assert machine.faults(gateway) == ["no ping through uk-to-au: Cannot assign requested address"]


class Command:
    """vpn-updates in a test's folder: the time, the tunnels, and what it runs."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.patch = root, monkeypatch
        self.clock, self.faults, self.needs, self.code = "02:30", list[str](), NONE, 0
        self.ran: list[Sequence[str]] = []
        for path in (main.WINDOW, main.RECORD, machine.UPGRADER):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / machine.UPGRADER).touch()
        (root / main.WINDOW).write_text('{"begin": "02:00", "end": "04:00"}\n')
        monkeypatch.setattr(machine, "ROOT", root)
        monkeypatch.setattr(main, "record", lambda kind, decision: record(kind, decision, root))
        monkeypatch.setattr(main, "_faults", lambda: self.faults)
        monkeypatch.setattr(machine, "needs", lambda: self.needs)
        monkeypatch.setattr(main, "time", SimpleNamespace(gmtime=lambda: None, strftime=lambda *_: self.clock))
        monkeypatch.setattr(main, "subprocess", SimpleNamespace(run=self.run))

    def run(self, argv: Sequence[str], check: bool) -> subprocess.CompletedProcess[str]:
        """Note a command."""
        assert not check
        self.ran.append(list(argv))
        return subprocess.CompletedProcess(argv, self.code)

    def call(self, option: str) -> int:
        """Run the command."""
        self.patch.setattr(sys, "argv", ["vpn-updates", option])
        return main.main()

    @property
    def recorded(self) -> dict[str, tuple[str, str]]:
        """Kind -> action and reason."""
        path = self.root / main.RECORD
        read = json.loads(path.read_text()) if path.exists() else {}
        return {kind: (each["action"], each["reason"]) for kind, each in read.items()}


record = main.record


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(tmp_path, monkeypatch)


def test_systemd_may_begin_the_upgrade_only_with_exit_code_0(command: Command) -> None:
    assert (command.call("--may-upgrade"), command.recorded) == (0, {"upgrade": (UPGRADE, "")})
    command.faults = DOWN
    assert (command.call("--may-upgrade"), command.recorded) == (1, {"upgrade": (HELD, DOWN[0])})


def test_what_is_asked_outside_of_the_window_is_refused_and_leaves_the_record_alone(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    command.clock, command.needs = "05:00", Needs(KERNEL.reboot, LIBRARY.restart)
    assert (command.call("--may-upgrade"), command.call("--finish")) == (1, 0)
    assert (command.recorded, command.ran) == ({}, [])
    assert capsys.readouterr().out == "upgrade: outside of the window\nrestart: outside of the window\n"


def test_a_reboot_takes_the_lock_of_vpn_configure_and_waits_if_that_is_taken(command: Command) -> None:
    command.needs = KERNEL
    assert command.call("--finish") == 0
    assert command.ran == [["flock", "-n", "-E", "75", "/run/vpn-configure.lock", "systemctl", "reboot"]]
    assert command.recorded == {"restart": (REBOOT, KERNEL.reboot[0])}
    command.code = 75
    assert command.call("--finish") == 1
    assert command.recorded == {"restart": (HELD, "vpn-configure changes this gateway")}


def test_nothing_restarts_while_packages_are_installed_by_hand(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "installs_packages", lambda _: True)
    for command.needs in (KERNEL, Needs([], ["ssh.service"])):
        assert (command.call("--finish"), command.ran) == (1, [])
        assert command.recorded == {"restart": (HELD, "packages are being installed")}


def test_the_lock_of_dpkg_tells_whether_packages_are_installed(tmp_path: Path) -> None:
    assert not machine.installs_packages(tmp_path)
    lock = tmp_path / "var/lib/dpkg/lock-frontend"
    lock.parent.mkdir(parents=True)
    lock.touch()
    assert not machine.installs_packages(tmp_path)
    take = f"import fcntl, sys; file = open({str(lock)!r}, 'ab'); fcntl.lockf(file, fcntl.LOCK_EX)"
    hold = f"{take}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert machine.installs_packages(tmp_path)
        holder.kill()


def test_a_reboot_waits_for_the_tunnel_and_the_unit_fails(command: Command) -> None:
    command.needs, command.faults = KERNEL, DOWN
    assert (command.call("--finish"), command.ran) == (1, [])
    assert command.recorded == {"restart": (HELD, DOWN[0])}


def test_services_are_restarted_and_a_failure_is_the_commands(command: Command) -> None:
    command.needs = Needs([], ["ipsec.service", "ssh.service"])
    assert (command.call("--finish"), command.ran) == (
        0,
        [
            [
                "flock",
                "-n",
                "-E",
                "75",
                "/run/vpn-configure.lock",
                "systemctl",
                "restart",
                "ipsec.service",
                "ssh.service",
            ]
        ],
    )
    command.code = 5
    assert command.call("--finish") == 5


def test_what_is_pending_is_printed_at_any_time(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    command.clock, command.needs = "12:00", Needs(KERNEL.reboot, LIBRARY.restart)
    assert command.call("--pending") == 0
    assert capsys.readouterr().out == f"{KERNEL.reboot[0]}\nrestart of ipsec.service\n"


def test_a_window_that_cannot_be_read_is_named(command: Command) -> None:
    (command.root / main.WINDOW).write_text("{")
    with pytest.raises(SystemExit, match=r"/etc/vpn-gateway/updates.json cannot be read: .*: sudo vpn-configure"):
        command.call("--may-upgrade")
