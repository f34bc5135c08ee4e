"""Fixtures of the engine tier: the real engine with its own PULUMI_HOME and file backend, apart from the lab's state.

Proves what the `pulumi` command does with programs and plugins on this machine. Does not prove machines and networks
(tests/lab), nor AWS. Command: `make test-engine`. There is nothing to clean up: all files are in pytest's temporary
folder.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import environment
from lab.engine import warm
from lab.engine.build import ensure_engine
from lab.engine.plugins import install_plugins
from tests.engine.api_process import ApiProcess, running_api
from tests.engine.diagnostics import causes_last

_LIMIT_SECONDS = 1800
"""For each test: beside machines that boot, a test of half a minute may take several."""

_LONGEST_FIRST = (
    "test_changes",
    "test_networks_of_others",
    "test_program",
    "test_iam",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder as the engine tier, and start the longest files first: they run in parallel."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(_LIMIT_SECONDS))
    order = {name: number for number, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@dataclass(frozen=True)
class Cli:
    """The `pulumi` command in one project folder."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, code: int = 0, **variables: str) -> str:
        """Run `pulumi` without a terminal; return stdout and stderr together. Fails unless it exits with `code`."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,  # with machines, `up` waits for their boots
            check=False,
        )
        assert done.returncode == code, causes_last(done.stdout)
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `pulumi` without waiting for its end; stdout and stderr together go to a pipe."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.fixture(scope="session", autouse=True)
def warm_plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run the process that starts stand-ins quickly, as a running lab does."""
    path = tmp_path_factory.mktemp("warm") / "plugins.sock"
    command = [sys.executable, "-m", "lab.engine.warm", str(path)]
    with subprocess.Popen(command) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(warm.VARIABLE, str(path))
        yield
        server.terminate()


@pytest.fixture(scope="session")
def engine_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the lab's environment with a PULUMI_HOME of this run, in which all plugins are installed."""
    ensure_engine(lambda line: print(line, file=sys.stderr))
    home = tmp_path_factory.mktemp("pulumi-home")
    install_plugins(home)
    return {**environment.variables(), "PULUMI_HOME": str(home)}


@pytest.fixture
def pulumi(engine_environment: dict[str, str], tmp_path: Path) -> Cli:
    """Return `pulumi` in an empty project folder with its own backend."""
    backend, folder = tmp_path / "state", tmp_path / "project"
    backend.mkdir()
    folder.mkdir()
    return Cli(folder, {**engine_environment, "PULUMI_BACKEND_URL": f"file://{backend}"})


@pytest.fixture(scope="module")
def api() -> Iterator[ApiProcess]:
    """Run the lab's API in its own process."""
    with running_api() as running:
        yield running


@pytest.fixture(scope="module")
def aws_environment(api: ApiProcess) -> Iterator[dict[str, str]]:
    """Point the environment of programs and plugins at the lab's API."""
    variables = {
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables
