"""Creates the virtual environment of a program or plugin and installs its dependencies. Quick when nothing changed."""

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.processes import Children, Output
from lab.language_hosts.python.environment import PythonEnvironment

_STAMP = ".lab-installed"


@dataclass(frozen=True)
class _Step:
    title: str
    command: list[str]


def install(environment: PythonEnvironment, children: Children, *, is_plugin: bool) -> Iterator[Output]:
    """Install, and yield the output. Raises EnvironmentUnusableError when a step fails.

    Steps of pip: `python -m venv`, the plugin itself if it is a package, its requirements.txt. Step of uv: `uv sync`.
    Nothing runs when the inputs are those of the last complete installation.
    """
    digest = _digest(environment, is_plugin=is_plugin)
    stamp = environment.virtual_environment and environment.virtual_environment / _STAMP
    if environment.exists and stamp and stamp.is_file() and stamp.read_text() == digest:
        return
    steps = _uv_steps() if environment.toolchain == "uv" else _pip_steps(environment, is_plugin=is_plugin)
    for step in steps:
        yield Output(stdout=f"{step.title}...\n".encode())
        yield from _run(step, environment, children)
    if stamp:
        stamp.write_text(digest)


def _pip_steps(environment: PythonEnvironment, *, is_plugin: bool) -> Iterator[_Step]:
    pip = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check"]
    if not environment.exists:
        interpreter = os.environ.get("PULUMI_PYTHON_CMD") or sys.executable
        yield _Step("Creating virtual environment", [interpreter, "-m", "venv", str(environment.virtual_environment)])
    if is_plugin and _is_package(environment.folder):
        yield _Step("Installing the plugin's package", [*pip, str(environment.folder)])
    if (environment.folder / "requirements.txt").is_file():
        yield _Step("Installing dependencies in virtual environment", [*pip, "-r", "requirements.txt"])


def _uv_steps() -> Iterator[_Step]:
    yield _Step("Installing dependencies by uv", ["uv", "sync"])


def _run(step: _Step, environment: PythonEnvironment, children: Children) -> Iterator[Output]:
    variables = environment.variables()
    if environment.toolchain == "uv" and environment.virtual_environment:
        variables["UV_PROJECT_ENVIRONMENT"] = str(environment.virtual_environment)
    try:
        yield from children.run_to_end(step.command, environment.folder, variables)
    except FileNotFoundError as error:
        raise EnvironmentUnusableError(
            f"{error.filename} was not found; install it or use the toolchain pip"
        ) from error


def _digest(environment: PythonEnvironment, *, is_plugin: bool) -> str:
    digest = hashlib.sha256(f"{environment.toolchain} {is_plugin} {environment.folder}".encode())
    for name in ("requirements.txt", "pyproject.toml", "uv.lock"):
        path = environment.folder / name
        digest.update(path.read_bytes() if path.is_file() else b"\0")
    for path in _local_packages(environment.folder):
        digest.update(f"{path}".encode() + path.read_bytes())
    return digest.hexdigest()


def _local_packages(folder: Path) -> Iterator[Path]:
    """Yield the sources of packages that requirements.txt names as folders: a generated SDK may have changed."""
    requirements = folder / "requirements.txt"
    for line in requirements.read_text().splitlines() if requirements.is_file() else []:
        package = folder / line
        if line and any((package / name).is_file() for name in ("pyproject.toml", "setup.py")):
            yield from sorted(path for path in package.rglob("*.py") if package / "build" not in path.parents)


def _is_package(folder: Path) -> bool:
    path = folder / "pyproject.toml"
    if not path.is_file():
        return False
    import tomllib  # noqa: PLC0415 - few plugins are packages, and every command imports this module

    return {"project", "build-system"} <= tomllib.loads(path.read_text()).keys()
