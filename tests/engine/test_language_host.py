"""Python programs and component plugins with the real engine and the lab's language host."""

import json
import os
import signal
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.engine.conftest import Cli

pytestmark = pytest.mark.whole

PROGRAM = """
import sys
import pulumi

class Box(pulumi.ComponentResource):
    def __init__(self, name, content):
        super().__init__("test:index:Box", name)
        kept = pulumi.Stash("kept", input=content, opts=pulumi.ResourceOptions(parent=self))
        self.content = kept.output
        self.register_outputs({"content": self.content})

print("printed by the program")
config = pulumi.Config()
pulumi.export("content", Box("box", config.get("content") or "nothing").content)
pulumi.export("prefix", sys.prefix)
"""

PLUGIN = '''
import sys
from typing import Optional, TypedDict
import pulumi
from pulumi.provider.experimental import component_provider_host

class GreetingArgs(TypedDict):
    who: pulumi.Input[str]
    """Who is greeted."""

class Greeting(pulumi.ComponentResource):
    prefix: pulumi.Output[str]
    """Where the plugin's Python is."""

    def __init__(self, name: str, args: GreetingArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__("greeter:index:Greeting", name, {}, opts)
        self.prefix = pulumi.Output.from_input(sys.prefix)
        self.register_outputs({"prefix": self.prefix})

if __name__ == "__main__":
    component_provider_host(name="greeter", components=[Greeting])
'''

CONSUMER = """
import pulumi

class Greeting(pulumi.ComponentResource):
    prefix: pulumi.Output[str]

greeting = Greeting("greeter:index:Greeting", "it", {"who": "you", "prefix": None}, remote=True)
pulumi.export("prefix", greeting.prefix)
"""

SITE_PACKAGES = sysconfig.get_path("purelib")
"""On PYTHONPATH, so that a new virtual environment finds Pulumi without a download."""


def write_program(folder: Path, source: str, options: str = "{toolchain: pip}") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Pulumi.yaml").write_text(f"name: trial\nruntime:\n  name: python\n  options: {options}\n")
    (folder / "__main__.py").write_text(source)


def write_plugin(folder: Path) -> None:
    folder.mkdir()
    (folder / "PulumiPlugin.yaml").write_text(
        "runtime:\n  name: python\n  options: {toolchain: pip, virtualenv: venv}\n"
    )
    (folder / "requirements.txt").write_text("pulumi\n")
    (folder / "__main__.py").write_text(PLUGIN)


def test_a_program_is_deployed_unchanged_by_a_second_up_and_destroyed_without_a_warning(pulumi: Cli) -> None:
    write_program(pulumi.folder, PROGRAM)
    pulumi("stack", "init", "test")
    pulumi("config", "set", "content", "something")
    first = pulumi("up", "--yes", "--skip-preview")
    second = pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert pulumi("stack", "output", "content").strip() == "something"
    last = pulumi("destroy", "--yes", "--skip-preview")
    assert "3 created" in first
    assert "printed by the program" in first
    assert "3 unchanged" in second
    assert "3 deleted" in last
    assert "warning" not in (first + second + last).lower()


def test_a_failing_program_shows_its_traceback_once(pulumi: Cli) -> None:
    write_program(pulumi.folder, "def deep():\n    raise ValueError('the very error')\n\ndeep()\n")
    pulumi("stack", "init", "test")
    output = pulumi("up", "--yes", "--skip-preview", "--suppress-progress", code=1)
    assert output.count("ValueError: the very error") == 1
    assert output.count("Traceback (most recent call last)") == 1
    assert "unhandled error occurred" not in output


def test_a_program_that_exits_with_another_code_fails_the_update_with_that_code(pulumi: Cli) -> None:
    write_program(pulumi.folder, "import os\nos._exit(7)\n")
    pulumi("stack", "init", "test")
    assert "program exited with non-zero exit code: 7" in pulumi("up", "--yes", "--skip-preview", code=1)


def test_modules_of_the_program_with_the_names_of_the_labs_are_not_imported_by_the_host(pulumi: Cli) -> None:
    write_program(pulumi.folder, "")
    for name in ("lab", "concurrent"):
        (pulumi.folder / name).mkdir()
        (pulumi.folder / name / "__init__.py").write_text("raise RuntimeError('taken from the program')\n")
    pulumi("stack", "init", "test")
    # `about` starts the host in the program's folder, but does not run the program, which may import these modules.
    assert "written in python" in pulumi("about")


def test_a_program_runs_in_its_virtual_environment_which_is_created_if_it_is_missing(pulumi: Cli) -> None:
    write_program(pulumi.folder, PROGRAM, "{toolchain: pip, virtualenv: own}")
    (pulumi.folder / "requirements.txt").write_text("pulumi\n")
    pulumi("stack", "init", "test")
    pulumi("up", "--yes", "--skip-preview", PYTHONPATH=SITE_PACKAGES)
    assert pulumi("stack", "output", "prefix").strip() == str(pulumi.folder / "own")


def test_a_broken_virtual_environment_is_reported_with_the_remedy(pulumi: Cli) -> None:
    write_program(pulumi.folder, PROGRAM, "{virtualenv: own}")
    (pulumi.folder / "own").mkdir()
    (pulumi.folder / "own" / "file").touch()
    pulumi("stack", "init", "test")
    output = pulumi("up", "--yes", "--skip-preview", code=1)
    assert f"'virtualenv' option is set to '{pulumi.folder / 'own'}', which is not a virtual environment" in output
    assert "run `pulumi install`" in output


@dataclass(frozen=True)
class Installed:
    """A component plugin and the output of its first use."""

    folder: Path
    output: str


@pytest.fixture(scope="module")
def greeter(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return a component plugin that was installed by a request for its schema."""
    folder = tmp_path_factory.mktemp("plugins") / "greeter"
    write_plugin(folder)
    cli = Cli(folder.parent, {**engine_environment, "PULUMI_BACKEND_URL": f"file://{folder.parent}"})
    return Installed(folder, cli("package", "get-schema", str(folder), PYTHONPATH=SITE_PACKAGES))


def test_a_component_plugin_returns_its_schema_and_is_installed_once(pulumi: Cli, greeter: Installed) -> None:
    second = pulumi("package", "get-schema", str(greeter.folder), PYTHONPATH=SITE_PACKAGES)
    assert "Installing dependencies" in greeter.output
    assert "Installing" not in second
    schema = json.loads(second)
    assert schema["resources"]["greeter:index:Greeting"]["inputProperties"] == {
        "who": {"type": "string", "description": "Who is greeted."}
    }


def test_a_program_uses_a_component_plugin_in_the_plugins_own_environment(pulumi: Cli, greeter: Installed) -> None:
    write_program(pulumi.folder, CONSUMER)
    with (pulumi.folder / "Pulumi.yaml").open("a") as file:
        file.write(f"packages:\n  greeter: {greeter.folder}\n")
    program = Cli(pulumi.folder, {**pulumi.environment, "PYTHONPATH": SITE_PACKAGES})
    program("stack", "init", "test")
    output = program("up", "--yes", "--skip-preview")
    assert program("stack", "output", "prefix").strip() == str(greeter.folder / "venv")
    assert "warning" not in output.lower()
    program("destroy", "--yes", "--skip-preview")


SLEEPER = """
import os, pathlib, time
pathlib.Path("pid").write_text(str(os.getpid()))
time.sleep(86400)
"""


def test_ctrl_c_ends_the_program_and_the_command(pulumi: Cli) -> None:
    write_program(pulumi.folder, SLEEPER)
    pulumi("stack", "init", "test")
    command = pulumi.start("up", "--yes", "--skip-preview")
    program = psutil.Process(wait_for_pid(pulumi.folder / "pid"))
    os.kill(command.pid, signal.SIGINT)
    # Uninterrupted, the program would sleep for a day.
    output, _ = command.communicate(timeout=600)
    assert command.returncode != 0, output
    _, alive = psutil.wait_procs([program], timeout=600)
    assert alive == []


def test_an_engine_that_is_killed_leaves_no_host_and_no_program_behind(pulumi: Cli) -> None:
    write_program(pulumi.folder, SLEEPER)
    pulumi("stack", "init", "test")
    command = pulumi.start("up", "--yes", "--skip-preview")
    program = psutil.Process(wait_for_pid(pulumi.folder / "pid"))
    host = program.parent()
    assert host is not None
    assert "lab.engine.warm" in host.cmdline()
    command.kill()
    command.wait()
    _, alive = psutil.wait_procs([host, program], timeout=600)
    assert alive == []


def wait_for_pid(path: Path) -> int:
    deadline = time.monotonic() + 600
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, "the program has not started within ten minutes"
        time.sleep(0.05)
    return int(path.read_text())
