"""Which Python runs a program or a component plugin: the `runtime.options` of Pulumi.yaml and PulumiPlugin.yaml."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.python import packages

_TOOLCHAINS = ("pip", "uv")
_PACKAGES = Path(packages.__file__)


@dataclass(frozen=True)
class PythonEnvironment:
    """The Python of one program or plugin."""

    folder: Path
    """Where its requirements.txt or pyproject.toml is."""
    toolchain: str
    """`pip` or `uv`."""
    virtual_environment: Path | None
    """None: the ambient Python."""

    @property
    def python(self) -> Path:
        """The interpreter. Without a virtual environment: PULUMI_PYTHON_CMD, or the one that runs this host."""
        if self.virtual_environment is None:
            return Path(os.environ.get("PULUMI_PYTHON_CMD") or sys.executable)
        return self.virtual_environment / "bin" / "python"

    @property
    def exists(self) -> bool:
        """Whether the interpreter is there."""
        return self.virtual_environment is None or self.python.is_file()

    @property
    def can_be_made(self) -> bool:
        """Whether its place is free: what somebody else has put there is not overwritten unasked."""
        place = self.virtual_environment
        return place is not None and (not place.exists() or (place.is_dir() and not any(place.iterdir())))

    def variables(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return `base` as an activated virtual environment changes it."""
        if self.virtual_environment is None:
            return dict(base)
        kept = {name: value for name, value in base.items() if name != "PYTHONHOME"}
        search = os.pathsep.join([str(self.virtual_environment / "bin"), kept.get("PATH", os.defpath)])
        return {**kept, "PATH": search, "VIRTUAL_ENV": str(self.virtual_environment)}

    def validate(self) -> None:
        """Raise EnvironmentUnusableError when the virtual environment is not one."""
        if not self.exists:
            raise EnvironmentUnusableError(
                f"the 'virtualenv' option is set to '{self.virtual_environment}', which is not a virtual environment; "
                "let it name a folder that is free, and run `pulumi install` to create it and install the dependencies"
            )

    def version(self) -> str:
        """Return the interpreter's version, e.g. `3.11.7`."""
        if self._is_ours():
            return sys.version.split(maxsplit=1)[0]
        command = [str(self.python), "-c", "import platform; print(platform.python_version())"]
        return self._run(command).strip()

    def pulumi_packages(self) -> list[dict[str, Any]]:
        """Return what `packages.plugins` says in this environment."""
        return packages.plugins() if self._is_ours() else self._ask("plugins")

    def distributions(self) -> list[dict[str, Any]]:
        """Return what `packages.distributions` says in this environment."""
        return packages.distributions() if self._is_ours() else self._ask("distributions")

    def _is_ours(self) -> bool:
        # By folder: its interpreter has several names. Unresolved: they are links to the one it was made by.
        if self.virtual_environment is not None:
            return self.exists and os.path.abspath(self.virtual_environment) == os.path.abspath(sys.prefix)
        return os.path.abspath(self.python) == os.path.abspath(sys.executable)

    def _ask(self, what: str) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self._run([str(self.python), "-c", _PACKAGES.read_text(), what]))
        return listed

    def _run(self, command: list[str]) -> str:
        answer = subprocess.run(command, env=self.variables(), capture_output=True, text=True, check=False)
        if answer.returncode:
            raise EnvironmentUnusableError(f"{self.python} does not work: {answer.stderr.strip()}")
        return answer.stdout


def resolve(root: Path, folder: Path, options: Mapping[str, Any], *, is_plugin: bool) -> PythonEnvironment:
    """Decide from the project's root folder, the program's folder and the runtime options.

    `virtualenv` is relative to the root. A plugin without it gets `venv`: plugins never run in the ambient Python.
    Without `toolchain`, a uv.lock in the program's folder or above means uv, and pip otherwise, as in the real host.
    Raises EnvironmentUnusableError for what is not supported.
    """
    toolchain = _text(options, "toolchain") or ("uv" if _nearest(folder, "uv.lock") else "pip")
    if toolchain not in _TOOLCHAINS:
        raise EnvironmentUnusableError(
            f"runtime option toolchain '{toolchain}' is not supported by the lab's Python host; use one of "
            f"{', '.join(_TOOLCHAINS)}"
        )
    if _text(options, "typechecker"):
        raise EnvironmentUnusableError(
            "runtime option 'typechecker' is not supported by the lab's Python host; remove it, run the checker itself"
        )
    named = _text(options, "virtualenv")
    if named:
        return PythonEnvironment(folder, toolchain, root / named)
    if toolchain == "uv":
        project = _nearest(folder, "uv.lock") or _nearest(folder, "pyproject.toml") or folder
        return PythonEnvironment(folder, toolchain, project / ".venv")
    return PythonEnvironment(folder, toolchain, root / "venv" if is_plugin else None)


def _text(options: Mapping[str, Any], name: str) -> str:
    value = options.get(name, "")
    if not isinstance(value, str):
        raise EnvironmentUnusableError(f"runtime option '{name}' must be a string, not {value!r}")
    return value


def _nearest(folder: Path, name: str) -> Path | None:
    return next((each for each in _upwards(folder) if (each / name).is_file()), None)


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents
