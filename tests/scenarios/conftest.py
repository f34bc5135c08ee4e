"""The scenarios, on one deployed stack: the article's evidence, every fault, the diagnosis of every cause, destroy.

Proves: each promise about leaks, healing, diagnosis and peers, on machines of the lab. Does not prove: AWS timing.
Command: `make test-faults`; single scenarios by `pytest tests/scenarios -k partition`, the long run by
`make test-soak`, the brief ones by `make test-machines`. `python -m tests.scenarios` prints the faults and the causes
and runs nothing. The table, the picture and the failures are in `.lab/faults/`. Clean up by hand: `make lab-down`.

The tests fail while a lab is up, unless LAB_TAKE_DOWN=1 (take it down first) or LAB_KEEP=1 (use it and leave it up).
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import daemons, network_faults
from lab.tests.own_machine import take_down
from tests.scenarios import report, sites
from tests.scenarios.first_boot import FirstBoot
from tests.scenarios.in_place import Program, configured
from tests.scenarios.report import Result
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream

_RESULTS = pytest.StashKey[list[Result]]()
_STARTED = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the soak test and of the faults."""
    parser.addoption("--untimed", action="store_true", help="report when traffic flows again, without a limit")
    parser.addoption("--soak", action="store_true", help="also run the soak test: an hour")
    parser.addoption("--soak-minutes", type=float, default=30.0, help="of each half of the soak test (default: 30)")


def pytest_configure(config: pytest.Config) -> None:
    """Begin with an empty table."""
    config.stash[_RESULTS] = []
    config.stash[_STARTED] = time.monotonic()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as `faults`. The test that takes the stack down comes last."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.faults)
    items.sort(key=lambda item: item.path.stem == "test_destroy")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table at the end."""
    if results := config.stash[_RESULTS]:
        terminalreporter.section("traffic between the private hosts, by fault")
        terminalreporter.write(report.table(results))
        minutes = (time.monotonic() - config.stash[_STARTED]) / 60
        terminalreporter.write_line(f"{len(results)} scenarios; all took {minutes:.1f} min; see {report.FOLDER}/")


@pytest.fixture(scope="session")
def results(pytestconfig: pytest.Config) -> list[Result]:
    """Return the results so far; `record` adds one."""
    return pytestconfig.stash[_RESULTS]


@pytest.fixture(scope="session")
def first_boot(results: list[Result], judged_by_time: bool) -> Iterator[Result | None]:
    """Bring the stack up. Yield the result of the first boots, or None when the stack was up already."""
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root; run `sudo make test-faults`")
    keep = bool(os.environ.get("LAB_KEEP"))
    is_up = daemons.api_answers()
    if is_up and not keep and not os.environ.get("LAB_TAKE_DOWN"):
        pytest.fail("a lab is running; take it down with `make lab-down`, or use it as it is with LAB_KEEP=1")
    if not keep:
        take_down()
    seen = None
    if not (is_up and keep):
        daemons.start()
        boot = FirstBoot(judged=judged_by_time)
        seen = boot.run()
        if boot.code:
            pytest.fail(f"pulumi up of the article's stack exits with {boot.code}")
        record(seen, results)
    network_faults.heal()
    yield seen
    if daemons.api_answers():
        network_faults.heal()
    if not keep:
        take_down()


@pytest.fixture(scope="session")
def running_stack(first_boot: Result | None) -> None:
    """Have the article's stack up, once for all tests. It is taken down after the last one.

    A test that changes the stack (its configuration, an instance) restores it before it ends.
    """


@pytest.fixture
def pair(running_stack: None) -> Pair:
    """Return both sides of the running pair as they are now (a test may have replaced an instance)."""
    return sites.find()


@pytest.fixture(scope="module")
def stream(running_stack: None) -> Iterator[Stream]:
    """Yield a stream between the private hosts for the tests of one file. At first it only probes the Internet."""
    with Stream(sites.find()) as stream:
        yield stream


@pytest.fixture(scope="module")
def monitored(running_stack: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Switch monitoring on at the running pair for the tests of one file, in place, and off again."""
    with configured(tmp_path_factory.mktemp("monitored") / "program", monitoring={"metrics": "detailed"}) as program:
        yield program


@pytest.fixture(scope="session")
def judged_by_time(pytestconfig: pytest.Config) -> bool:
    """Return whether a scenario is judged by its seconds."""
    return not pytestconfig.getoption("--untimed", default=False)


def record(result: Result, results: list[Result]) -> None:
    """Add a result and write the report, so that it is kept if a later test fails."""
    results.append(result)
    report.write(results)
