"""The tiers of tests, and the command of the Makefile that runs them: `python -m tests.tiers NAME...`.

This is the only list of tiers. `make help` and docs/architecture.md show it; tests/unit/test_tiers.py compares them.
The run ends at the first tier that fails. The logs of that tier and the consoles of its machines are kept in
`.lab/failed/TIER/`. `--within SECONDS` leaves out each tier that would not end in time, and names it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import settings

_PYTHON: Final = (sys.executable, "-m")
_PYTEST: Final = (*_PYTHON, "pytest")
_PARALLEL: Final = (*_PYTEST, "--numprocesses=auto", "--dist=loadfile", "--no-loadscope-reorder", "--durations=5")
_STREAMED: Final = (*_PYTEST, "--capture=no")
_NEWEST: Final = "debian-13"

Command = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Tests with the same requirements."""

    name: str
    """Its Make target is `test-NAME`."""
    what: str
    """Description of what it runs, in one line."""
    minutes: float
    """Measured on two cores without KVM, after `make lab`."""
    commands: Sequence[Command]
    releases: Sequence[str] = ()
    """Debian releases whose guest images it needs."""
    needs_engine: bool = False

    def preparation(self) -> Iterator[Command]:
        """Yield the command that builds the images or the engine that the tier needs, if any."""
        if self.releases or self.needs_engine:
            releases = self.releases or (_NEWEST,)
            yield (str(Path(sys.prefix, "bin", "lab")), "prepare", *(f"--release={each}" for each in releases))


TEST: Final = (
    Tier(
        name="lint",
        what="ruff, mypy (a minute more the first time), import-linter, shellcheck",
        minutes=0.1,
        commands=(
            (*_PYTHON, "ruff", "check"),
            (*_PYTHON, "ruff", "format", "--check"),
            ("sh", "-c", "shellcheck $(git ls-files '*.sh') $(git grep -l '^#!/bin/sh' -- userdata ':!*.j2')"),
            # Beside Python itself, because the package has no __main__.
            (str(Path(sys.prefix, "bin", "lint-imports")), "--no-cache", "--no-logo"),
            (*_PYTHON, "mypy"),
            (*_PYTHON, "mypy", "userdata/gateway/usr/local/sbin/vpn-secrets"),
        ),
    ),
    Tier(
        name="unit",
        what="decisions, rendering, exact resources; no root, no image, no network",
        minutes=1.3,
        commands=((*_PARALLEL, "tests/unit"),),
    ),
    Tier(
        name="engine",
        what="the real engine against the emulated API, without machines",
        minutes=4,
        commands=((*_PARALLEL, "tests/engine", "-m", "not whole"),),
        needs_engine=True,
    ),
    Tier(
        name="tools",
        what="every rendered file read by the real tools of Debian 13, in chroots",
        minutes=1,
        # More processes than cores, because they mostly wait.
        commands=((*_PARALLEL, "--numprocesses=4", "tests/tools", f"--release={_NEWEST}"),),
        releases=(_NEWEST,),
    ),
    Tier(
        name="machines",
        what="one deployed stack: the article's evidence, a second `up`, faults, leaks, destroy",
        minutes=9.5,
        commands=((*_STREAMED, "tests/scenarios", "-m", "brief", "--untimed"),),
        releases=(_NEWEST,),
    ),
)
"""The tiers of `make test`."""

REST: Final = (
    Tier(
        name="whole",
        what="the engine's other tests: examples in each language, docs/changes.md, the stand-ins; the lab's own parts",
        minutes=15,
        commands=((*_PARALLEL, "lab/tests/unit"), (*_PARALLEL, "--dist=worksteal", "tests/engine", "-m", "whole")),
        needs_engine=True,
    ),
    Tier(
        name="lab",
        what="the lab's own network and machines; a consumer's project and a NAT gateway with machines",
        minutes=15,
        commands=((*_STREAMED, "lab/tests/machines", "tests/lab", "--ignore=tests/lab/test_hub.py"),),
        releases=(_NEWEST,),
    ),
    Tier(
        name="hub",
        what="a hub with machines: a spoke is added and taken away, then its monitoring is switched on",
        minutes=8,
        commands=((*_STREAMED, "tests/lab/test_hub.py"),),
        releases=(_NEWEST,),
    ),
    Tier(
        name="debian-12",
        what="the tools tier on Debian 12",
        minutes=1.1,
        commands=((*_PARALLEL, "--numprocesses=4", "tests/tools", "--release=debian-12"),),
        releases=("debian-12",),
    ),
    Tier(
        name="properties",
        what="the property tests with four times as many examples",
        minutes=1,
        commands=((*_PARALLEL, "tests/unit", "--hypothesis-profile=whole", "-k", "properties or addressing"),),
    ),
)
"""The tiers that `make test-all` runs after those.

The order is for CI, which on a slow machine has no time for all of them. The tier that changes of the product break
most often is the first one. Long tiers come before short ones, which still fit at the end.
"""

FAILED: Final = settings.STATE / "failed"
_GROUPS: Final = {"test": TEST, "rest": REST, "all": (*TEST, *REST)}
_RESERVE: Final = 1.25
"""A tier starts only if this many times its minutes are left, because machines differ."""


class TierFailedError(Exception):
    """A command of a tier failed; the message names it."""


def named(name: str) -> Sequence[Tier]:
    """Return the tiers of a group or the one tier of that name. Raises KeyError for any other name."""
    return _GROUPS.get(name) or ({tier.name: tier for tier in _GROUPS["all"]}[name],)


def run(tiers: Sequence[Tier], within: float = float("inf")) -> int:
    """Run tiers in order until one fails; print progress and a table. Return 0 unless a tier failed.

    `within` is the time for all tiers, in seconds.
    """
    began = time.monotonic()
    rows: list[tuple[str, str]] = []
    for number, tier in enumerate(tiers, 1):
        left = sum(each.minutes for each in tiers[number:])
        if time.monotonic() - began + tier.minutes * 60 * _RESERVE > within:
            rows.append(
                (tier.name, f"left out: takes about {tier.minutes:g} min, too long; run `make test-{tier.name}`")
            )
            continue
        say(f"{number} of {len(tiers)}: {tier.name} ({tier.what}), about {tier.minutes:g} min; then {left:g} min more")
        tier_began = time.monotonic()
        try:
            run_tier(tier)
        except TierFailedError as error:
            rows.append((tier.name, f"FAILED after {_duration(tier_began)}"))
            rows += [(each.name, "not run") for each in tiers[number:]]
            _print_results(rows, began)
            say(f"{error}; the cause is above, the logs are in {keep_logs(tier)}")
            return 1
        rows.append((tier.name, f"passed in {_duration(tier_began)}"))
    _print_results(rows, began)
    return 0


def run_tier(tier: Tier) -> None:
    """Run one tier. Raises TierFailedError at the first command that fails."""
    for command in (*tier.preparation(), *tier.commands):
        done = subprocess.run(command, cwd=settings.ROOT, env={**os.environ, "LAB_TAKE_DOWN": "1"}, check=False)
        if done.returncode:
            raise TierFailedError(f"tier {tier.name}: {' '.join(command)} exits with {done.returncode}")


def keep_logs(tier: Tier) -> Path:
    """Copy the lab's logs, including the machines' consoles, to a folder that the next `lab up` does not clear.

    There are none if no lab was up since the checkout.
    """
    kept = FAILED / tier.name
    shutil.rmtree(kept, ignore_errors=True)
    if settings.LOGS.exists():
        shutil.copytree(settings.LOGS, kept)
    return kept.relative_to(settings.ROOT)


def table(tiers: Sequence[Tier]) -> str:
    """Return the tiers as a Markdown table."""
    rows = [f"| `make test-{each.name}` | {each.what} | {each.minutes:g} |" for each in tiers]
    return "\n".join(["| tier | what it runs | minutes |", "|---|---|---|", *rows, ""])


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"tests: {text}", file=sys.stderr, flush=True)


def _print_results(rows: Sequence[tuple[str, str]], began: float) -> None:
    for name, result in rows:
        say(f"{name:<11} {result}")
    say(f"{'all':<11} {_duration(began)}")


def _duration(began: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    return f"{minutes}:{seconds:02} min"


def main() -> None:
    """Run the tiers that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.tiers", description="Runs tiers of tests.")
    parser.add_argument("name", nargs="+", choices=[*_GROUPS, *(tier.name for tier in _GROUPS["all"])])
    parser.add_argument("--within", type=float, default=float("inf"), metavar="SECONDS")
    arguments = parser.parse_args()
    sys.exit(run([tier for name in arguments.name for tier in named(name)], arguments.within))


if __name__ == "__main__":
    main()
