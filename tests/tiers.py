"""The tiers of tests, and the command of the Makefile that runs them: `python -m tests.tiers NAME...`.

This is the only list of tiers. `make help` and docs/architecture.md show it; tests/unit/test_tiers.py compares them.
The run ends at the first tier that fails. The logs of that tier and the consoles of its machines are kept in
`.lab/failed/TIER/`. `--within SECONDS` leaves out each tier that would not end in time, and names it.

One tier of `make test` runs in the background: the machines leave a part of the processors idle.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab import settings
from tests.background import Background

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
    """Measured on two cores without KVM, after `make lab`; a tier that runs in the background, there."""
    commands: Sequence[Command]
    releases: Sequence[str] = ()
    """Debian releases whose guest images it needs."""
    needs_engine: bool = False
    in_background: bool = False
    """Whether it runs beside the tiers that follow it, with a low priority. Its output is printed at the end."""

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
        minutes=10,
        commands=((*_PARALLEL, "tests/engine", "-m", "not whole"),),
        needs_engine=True,
        in_background=True,
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
        minutes=11,
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

    def __init__(self, tier: Tier, command: Command, code: int) -> None:
        super().__init__(f"tier {tier.name}: {' '.join(command)} exits with {code}")
        self.tier = tier


def named(name: str) -> Sequence[Tier]:
    """Return the tiers of a group or the one tier of that name. Raises KeyError for any other name."""
    return _GROUPS.get(name) or ({tier.name: tier for tier in _GROUPS["all"]}[name],)


def run(tiers: Sequence[Tier], within: float = float("inf")) -> int:
    """Run tiers in order until one fails; print progress and a table. Return 0 unless a tier failed.

    `within` is the time for all tiers, in seconds.
    """
    began = time.monotonic()
    results = dict.fromkeys((tier.name for tier in tiers), "not run")
    failed: TierFailedError | None = None
    try:
        for name, result in _run_each(tiers, began, within):
            results[name] = result
    except TierFailedError as error:
        failed = error
    for name, result in results.items():
        say(f"{name:<11} {result}")
    say(f"{'all':<11} {_minutes(time.monotonic() - began)}")
    if failed:
        say(f"{failed}; the cause is above, the logs are in {keep_logs(failed.tier)}")
    return 1 if failed else 0


def _run_each(tiers: Sequence[Tier], began: float, within: float) -> Iterator[tuple[str, str]]:
    """Yield the name and the result of each tier that has ended. Raises TierFailedError after the one that failed."""
    background: list[tuple[Tier, Background]] = []
    with ExitStack() as at_the_end:
        for number, tier in enumerate(tiers, 1):
            minutes, rest = tier.minutes, tiers[number:]
            if time.monotonic() - began + minutes * 60 * _RESERVE > within:
                yield tier.name, f"left out: takes about {minutes:g} min, too long; run `make test-{tier.name}`"
                continue
            left = sum(each.minutes for each in rest if not each.in_background)
            say(f"{number} of {len(tiers)}: {tier.name} ({tier.what}), about {minutes:g} min; then {left:g} min more")
            tier_began = time.monotonic()
            try:
                run_commands(tier, tier.preparation())
                if tier.in_background and rest:
                    background.append((tier, at_the_end.enter_context(in_background(tier))))
                    # This is its result when a tier that follows fails first.
                    yield tier.name, "interrupted"
                    continue
                run_commands(tier, tier.commands)
            except TierFailedError:
                yield tier.name, f"FAILED after {_minutes(time.monotonic() - tier_began)}"
                with suppress(TierFailedError):
                    yield from _ended(background)
                raise
            yield tier.name, f"passed in {_minutes(time.monotonic() - tier_began)}"
            yield from _ended(background)
        yield from _ended(background, wait=True)


def _ended(background: list[tuple[Tier, Background]], *, wait: bool = False) -> Iterator[tuple[str, str]]:
    """Print the output of each tier that has ended in the background, yield its result, and take it from the list.

    Raises TierFailedError after one that failed.
    """
    for tier, job in [*background]:
        if wait or job.has_ended:
            background.remove((tier, job))
            code = job.wait()
            print(job.log.read_text(), end="", flush=True)
            yield tier.name, f"{'FAILED after' if code else 'passed in'} {_minutes(job.seconds)}, in the background"
            if code:
                raise TierFailedError(tier, job.command, code)


def in_background(tier: Tier) -> Background:
    """Return the commands of a tier as one that runs in the background, and say where its output is."""
    log = _log(tier)
    say(f"{tier.name} runs beside the tiers that follow; its output is in {log.relative_to(settings.ROOT)}")
    return Background(("sh", "-c", " && ".join(map(shlex.join, tier.commands))), log)


def run_commands(tier: Tier, commands: Iterable[Command]) -> None:
    """Run commands of a tier. Raises TierFailedError at the first one that fails."""
    for command in commands:
        done = subprocess.run(command, cwd=settings.ROOT, env={**os.environ, "LAB_TAKE_DOWN": "1"}, check=False)
        if done.returncode:
            raise TierFailedError(tier, command, done.returncode)


def _log(tier: Tier) -> Path:
    return settings.STATE / "tests" / f"{tier.name}.log"


def keep_logs(tier: Tier) -> Path:
    """Copy the lab's logs, including the machines' consoles, to a folder that the next `lab up` does not clear.

    There are none if no lab was up since the checkout.
    """
    kept = FAILED / tier.name
    shutil.rmtree(kept, ignore_errors=True)
    if settings.LOGS.exists():
        shutil.copytree(settings.LOGS, kept)
    if (log := _log(tier)).exists():
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copy(log, kept)
    return kept.relative_to(settings.ROOT)


def table(tiers: Sequence[Tier]) -> str:
    """Return the tiers as a Markdown table."""
    rows = [f"| `make test-{each.name}` | {each.what} | {each.minutes:g} |" for each in tiers]
    return "\n".join(["| tier | what it runs | minutes |", "|---|---|---|", *rows, ""])


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"tests: {text}", file=sys.stderr, flush=True)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min"


def main() -> None:
    """Run the tiers that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.tiers", description="Runs tiers of tests.")
    parser.add_argument("name", nargs="+", choices=[*_GROUPS, *(tier.name for tier in _GROUPS["all"])])
    parser.add_argument("--within", type=float, default=float("inf"), metavar="SECONDS")
    arguments = parser.parse_args()
    sys.exit(run([tier for name in arguments.name for tier in named(name)], arguments.within))


if __name__ == "__main__":
    main()
