"""A consumer's program, checked by mypy in strict mode against a package that is not of this checkout."""

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
"""What is wrong inside the package is not the consumer's; reading all of pulumi_aws takes a minute."""


def type_errors(program: Path, package: str, found_in: Path) -> str:
    """Return what mypy says of `program`, which imports `package` from `found_in`; empty when all is well."""
    configuration = program.with_name("mypy.ini")
    configuration.write_text(CONFIGURATION.format(package=package))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--config-file", str(configuration), program.name],
        cwd=program.parent,
        env={**os.environ, "MYPYPATH": str(found_in)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout
