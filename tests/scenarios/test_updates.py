"""Security updates of the running pair in the windows of its sides, with traffic between the private hosts.

Proves that each side installs a newer Libreswan and a newer kernel in its own window and reboots once, that nothing
happens outside of the windows, and that a Libreswan that breaks the tunnel on one side is held back on the other. The
gateways' clocks are moved from one time of the windows to the next. Does not prove that a newer kernel starts: the
lab's machines start the kernel of their image.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from components.decisions.updates import UpdateTimes, later, update_times
from tests.scenarios import runner, security_suite, sites
from tests.scenarios.alarms import DOWN, raised, wait
from tests.scenarios.conftest import record
from tests.scenarios.diagnosis import answers
from tests.scenarios.gateway import Gateway, wait_until
from tests.scenarios.in_place import Program, configured
from tests.scenarios.report import Result
from tests.scenarios.scenario import Expectation, Scenario, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("windows")]

WINDOWS: Final = {"uk": update_times("02:00"), "au": update_times("04:00")}

DAEMON_GAP: Final = 10.0
"""Seconds that the restart of the daemon by its package may cost."""

STEP_SECONDS: Final = 300.0
"""An emulated processor needs minutes for what unattended-upgrades does."""

BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"

EVALUATION_SECONDS: Final = 90
"""A minute of the clock, and its evaluation."""

GOOD, BAD = "+deb13u1", "+deb13u2"

_LIKE_EC2 = (
    "apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq install unattended-upgrades >/dev/null; "
    "systemctl unmask apt-daily.timer apt-daily-upgrade.timer; "
    "cat >/etc/apt/sources.list.d/security.list"
)
"""Brings what Debian's EC2 image has and the lab's has not."""

_UNLIKE_EC2 = (
    "rm -f /etc/apt/sources.list.d/security.list; systemctl mask --now apt-daily.timer apt-daily-upgrade.timer"
)


@pytest.fixture(scope="module")
def windows(running_stack: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Give both sides a window on the running pair, and offer updates. In the end only the packages stay."""
    gateways = sites.find().gateways
    with ExitStack() as stack:
        stack.callback(security_suite.withdraw)
        security_suite.offer(security_suite.libreswan(GOOD), security_suite.kernel)
        for gateway in gateways:
            stack.callback(gateway.ask, _UNLIKE_EC2)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda one: one.run(_LIKE_EC2, stdin=security_suite.SOURCE, timeout=STEP_SECONDS), gateways))
        yield from with_windows(tmp_path_factory.mktemp("windows") / "program", gateways)


def with_windows(folder: Path, gateways: Sequence[Gateway]) -> Iterator[Program]:
    """Configure the windows, and alarms. Before they are taken back, the clocks are right again."""
    values = {f"{side}UpdateWindow": WINDOWS[site].begin for side, site in (("left", "uk"), ("right", "au"))}
    with configured(folder, monitoring={"metrics": "basic"}, **values) as program:
        try:
            yield program
        finally:
            for gateway in gateways:
                right_clock(gateway)


def move_clock(gateway: Gateway, day: int, of_day: str) -> None:
    """Set the clock to three seconds before a time of the day, `day` days after today."""
    hours, minutes = map(int, of_day.split(":"))
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + timedelta(days=day, hours=hours, minutes=minutes, seconds=-3)
    # The hardware clock too, from which a reboot takes the time.
    gateway.run(f"timedatectl set-time '{at:%Y-%m-%d %H:%M:%S}'")


def right_clock(gateway: Gateway) -> None:
    """Set the clock to the right time."""
    gateway.run(f"timedatectl set-time '{datetime.now(UTC):%Y-%m-%d %H:%M:%S}'")


def invocation(gateway: Gateway, unit: str) -> str:
    """Return what tells one run of a unit from the next."""
    return gateway.run(f"systemctl show --property=InactiveEnterTimestampMonotonic --value {unit}").strip()


def run_at(gateway: Gateway, day: int, of_day: str, unit: str) -> None:
    """Move the clock to a time of the window, and wait until the service that is due has run or was skipped."""
    before = invocation(gateway, unit)
    move_clock(gateway, day, of_day)
    wait_until(f"{unit} runs on {gateway.name}", lambda: invocation(gateway, unit) != before, STEP_SECONDS)


def version(gateway: Gateway) -> str:
    """Return the version of the installed Libreswan."""
    return gateway.run("dpkg-query -W -f '${Version}' libreswan")


def layer(gateway: Gateway) -> str:
    """Return the evidence of the layer `updates`; it must hold."""
    document = json.loads(gateway.ask("vpn-verify --json", timeout=120).stdout)
    (found,) = (each for each in document["layers"] if each["name"] == "updates")
    assert found["status"] == "ok"
    return str(found["evidence"])


def last_decision(gateway: Gateway) -> dict[str, Any]:
    """Return the last decision about an upgrade."""
    decision: dict[str, Any] = json.loads(gateway.read("/var/lib/vpn-gateway/updates.json"))["upgrade"]
    return decision


def upgrade(gateway: Gateway, day: int, times: UpdateTimes) -> None:
    """Let the first part of a window pass: package lists, then upgrades."""
    run_at(gateway, day, times.begin, "apt-daily.service")
    run_at(gateway, day, times.upgrade, "apt-daily-upgrade.service")


def reboot(gateway: Gateway, day: int, times: UpdateTimes) -> None:
    """Let the first look of a window pass, which reboots the gateway."""
    move_clock(gateway, day, times.looks[0])
    # First it looks for more updates, because the clock is moved past the window's begin.
    gateway.wait_until_down(STEP_SECONDS)
    gateway.wait_until_booted()


def publishes_again(gateway: Gateway) -> bool:
    """Return whether CloudWatch takes what the gateway publishes, after it has refused it for its clock."""
    return gateway.run("journalctl -b -o cat -u vpn-metrics -n 1") == "published again\n"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a window."""

    name: str
    title: str
    day: int
    """Days after today."""
    apply: Callable[[Gateway, int, UpdateTimes], None]
    expectation: Expectation

    def scenario(self, site: str, *, judged: bool) -> Scenario:
        """Return the scenario in which this part of the site's window passes; without `judged`, times are reported."""

        def steps(pair: Pair, _variant: Variant) -> Steps:
            self.apply(pair.site(site).gateway, self.day, WINDOWS[site])
            yield

        return Scenario(
            name=f"updates-{self.name}-{site}",
            title=f"{self.title} {site}'s gateway in its window",
            seconds=60,
            description=f"The window of {site} for security updates.",
            expectation=self.expectation if judged else self.expectation.untimed(),
            steps=steps,
            at=(site,),
            is_down=self.name == "reboot",
        )


UPGRADE: Final = Part(
    name="upgrade",
    title="Libreswan and the kernel are updated on",
    day=2,
    apply=upgrade,
    expectation=Expectation(limit_seconds=0, lossless=True, hiccup_seconds=DAEMON_GAP),
)
REBOOT: Final = Part(
    name="reboot",
    title="the newer kernel reboots",
    day=3,
    apply=reboot,
    expectation=Expectation(limit_seconds=15, goal="bare boot + 15 s"),
)


def test_nothing_is_installed_outside_of_the_windows(pair: Pair) -> None:
    for gateway, times in zip(pair.gateways, WINDOWS.values(), strict=True):
        before = version(gateway)
        assert not before.endswith(GOOD)
        move_clock(gateway, 1, times.end)
        time.sleep(4)
        gateway.run("systemctl start apt-daily.service")
        gateway.ask("systemctl start apt-daily-upgrade.service", timeout=STEP_SECONDS)
        assert version(gateway) == before
        assert "upgrade: outside of the window" in gateway.run("journalctl -b -o cat -u apt-daily-upgrade")


@pytest.mark.parametrize(
    ("part", "site"),
    [(UPGRADE, "uk"), (REBOOT, "uk"), (UPGRADE, "au"), (REBOOT, "au")],
    ids=["uk-upgrade", "uk-reboot", "au-upgrade", "au-reboot"],
)
def test_a_side_is_updated_and_rebooted_in_its_window(
    part: Part, site: str, stream: Stream, judged_by_time: bool, results: list[Result]
) -> None:
    pair = sites.find()
    gateway, other = pair.site(site).gateway, pair.other(pair.site(site)).gateway
    others = version(other)
    result = runner.run(part.scenario(site, judged=judged_by_time), stream)
    record(result, results)
    assert result.failures == ()
    assert version(gateway).endswith(GOOD)
    assert version(other) == others, "the other side has another window"
    if part is UPGRADE:
        assert f"pending: kernel {security_suite.KERNEL} is installed" in layer(gateway)
        boot = gateway.read(BOOT_ID)
        # What was due meanwhile runs as soon as the clock is moved, and so is outside of the window, too.
        run_at(gateway, part.day, later(WINDOWS[site].end, 5), "vpn-updates.service")
        assert "restart: outside of the window" in gateway.run("journalctl -b -o cat -u vpn-updates -n 20")
        assert gateway.read(BOOT_ID) == boot
        return
    run_at(gateway, part.day, WINDOWS[site].looks[1], "vpn-updates.service")
    assert "restart: nothing" in gateway.run("journalctl -b -o cat -u vpn-updates")
    evidence = layer(gateway)
    assert "last run" in evidence
    assert "pending" not in evidence
    assert "held" not in evidence


def test_an_update_that_breaks_the_tunnel_is_held_back_on_the_other_side(pair: Pair) -> None:
    uk, au = pair.gateways
    good = version(au)
    security_suite.offer(security_suite.libreswan(GOOD), security_suite.libreswan(BAD, works=False))
    try:
        upgrade(uk, 4, WINDOWS["uk"])
        assert version(uk).endswith(BAD)
        upgrade(au, 4, WINDOWS["au"])
        assert version(au) == good
        assert last_decision(au)["action"] == "held"
        assert re.search("has no Child SA|answers no ping", last_decision(au)["reason"])
        assert "upgrade held back" in layer(au)
        for gateway in pair.gateways:
            right_clock(gateway)
        # Without data, the alarms were on already.
        wait("both publish again", lambda: all(map(publishes_again, pair.gateways)))
        time.sleep(EVALUATION_SECONDS)
        assert raised() >= DOWN
    finally:
        # As a person repairs it.
        for gateway in pair.gateways:
            repair = f"apt-get -qq install --allow-downgrades libreswan={good}"
            gateway.run(f"DEBIAN_FRONTEND=noninteractive {repair}", timeout=STEP_SECONDS)
    wait("both alarms of the tunnel end", lambda: not DOWN & raised())
    assert [look.diagnosis for look in answers.ask(pair.gateways).values()] == ["ok", "ok"]
