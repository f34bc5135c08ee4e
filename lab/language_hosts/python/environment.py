"""The Python of a program or component plugin, from the `runtime.options` of Pulumi.yaml or PulumiPlugin.yaml."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.python import installed_packages

_TOOLCHAINS = ("pip", "uv")
_LISTING_SCRIPT = Path(installed_packages.__file__)


@dataclass(frozen=True)
class PythonEnvironment:
    """The Python of one program or plugin."""

    folder: Path
    """Folder with its requirements.txt or pyproject.toml."""
    toolchain: str
    """`pip` or `uv`."""
    virtual_environment: Path | None
    """None: the ambient Python."""

    @property
    def python(self) -> Path:
        """The interpreter. Without a virtual environment: PULUMI_PYTHON_CMD, or this host's interpreter."""
        if self.virtual_environment is None:
            return Path(os.environ.get("PULUMI_PYTHON_CMD") or sys.executable)
        return self.virtual_environment / "bin" / "python"

    @property
    def exists(self) -> bool:
        """Whether the interpreter exists. The ambient Python always does."""
        return self.virtual_environment is None or self.python.is_file()

    @property
    def can_be_made(self) -> bool:
        """Whether the virtual environment can be created without overwriting files: its folder is missing or empty."""
        target = self.virtual_environment
        return target is not None and (not target.exists() or (target.is_dir() and not any(target.iterdir())))

    def variables(self, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return the environment variables `base` as activating the virtual environment changes them."""
        if self.virtual_environment is None:
            return dict(base)
        kept = {name: value for name, value in base.items() if name != "PYTHONHOME"}
        search = os.pathsep.join([str(self.virtual_environment / "bin"), kept.get("PATH", os.defpath)])
        return {**kept, "PATH": search, "VIRTUAL_ENV": str(self.virtual_environment)}

    def validate(self) -> None:
        """Raise EnvironmentUnusableError unless the virtual environment exists."""
        if not self.exists:
            raise EnvironmentUnusableError(
                f"the 'virtualenv' option is set to '{self.virtual_environment}', which is not a virtual environment; "
                "choose a folder that is missing or empty, and run `pulumi install` to create the environment and "
                "install the dependencies"
            )

    def version(self) -> str:
        """Return the interpreter's version, e.g. `3.11.7`."""
        if self._runs_this_host():
            return sys.version.split(maxsplit=1)[0]
        command = [str(self.python), "-c", "import platform; print(platform.python_version())"]
        return self._run(command).strip()

    def pulumi_packages(self) -> list[dict[str, Any]]:
        """Return `installed_packages.plugins()` of this environment."""
        return installed_packages.plugins() if self._runs_this_host() else self._list("plugins")

    def distributions(self) -> list[dict[str, Any]]:
        """Return `installed_packages.distributions()` of this environment."""
        return installed_packages.distributions() if self._runs_this_host() else self._list("distributions")

    def _runs_this_host(self) -> bool:
        # The folders are compared, because an environment's interpreter has several names. Links are not resolved,
        # because the interpreters of all environments are links to the same file.
        if self.virtual_environment is not None:
            return self.exists and os.path.abspath(self.virtual_environment) == os.path.abspath(sys.prefix)
        return os.path.abspath(self.python) == os.path.abspath(sys.executable)

    def _list(self, kind: str) -> list[dict[str, Any]]:
        output = self._run([str(self.python), "-c", _LISTING_SCRIPT.read_text(), kind])
        listing: list[dict[str, Any]] = json.loads(output)
        return listing

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(command, env=self.variables(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise EnvironmentUnusableError(f"{self.python} does not work: {done.stderr.strip()}")
        return done.stdout


def resolve(root: Path, folder: Path, options: Mapping[str, Any], *, is_plugin: bool) -> PythonEnvironment:
    """Return the environment for a project's root folder, the program's folder and the runtime options.

    `virtualenv` is relative to the root. Its default for a plugin is `venv`: plugins never run in the ambient Python.
    The default of `toolchain` is, as in the real host, uv with a uv.lock in the program's folder or above, otherwise
    pip. Raises EnvironmentUnusableError for unsupported options.
    """
    toolchain = _text(options, "toolchain") or ("uv" if _nearest(folder, "uv.lock") else "pip")
    if toolchain not in _TOOLCHAINS:
        raise EnvironmentUnusableError(
            f"runtime option toolchain '{toolchain}' is not supported by the lab's Python host; use one of "
            f"{', '.join(_TOOLCHAINS)}"
        )
    if _text(options, "typechecker"):
        raise EnvironmentUnusableError(
            "runtime option 'typechecker' is not supported by the lab's Python host; remove it and run the checker "
            "yourself"
        )
    configured = _text(options, "virtualenv")
    if configured:
        return PythonEnvironment(folder, toolchain, root / configured)
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
