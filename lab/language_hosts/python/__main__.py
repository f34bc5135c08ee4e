"""The Python language host, for programs and plugins: `python -m lab.language_hosts.python ENGINE_ADDRESS`."""

import os
import sys
from pathlib import Path

from lab import settings
from lab.language_hosts.base.server import serve
from lab.language_hosts.python.host import PythonHost

EXECUTOR = settings.BIN / "pulumi-language-python-exec"


def main(arguments: list[str]) -> None:
    """Serve the Python language host."""
    executor = Path(os.environ.get("LAB_PULUMI_EXECUTOR", EXECUTOR))
    serve(lambda engine: PythonHost(engine, executor), arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
