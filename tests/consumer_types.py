"""Checks a consumer's program with mypy in strict mode against a package outside this checkout."""

import os
import subprocess
import sys
from pathlib import Path

CONFIGURATION = """
[mypy]
strict = true
[mypy-{package}.*]
ignore_errors = true
[mypy-pulumi_aws.*]
follow_imports = skip
"""
"""Ignores errors inside the package, and does not read pulumi_aws, which takes a minute."""


def type_errors(program: Path, package: str, packages: Path) -> str:
    """Return mypy's messages for `program`, which imports `package` from the folder `packages`."""
    configuration = program.with_name("mypy.ini")
    configuration.write_text(CONFIGURATION.format(package=package))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--config-file", str(configuration), program.name],
        cwd=program.parent,
        env={**os.environ, "MYPYPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout
