"""The YAML language host: the real one, which is built when the first YAML program runs."""

import os
import sys

from lab.engine.errors import EngineError
from lab.engine.tools import YAML_HOST, ensure_tool


def main(arguments: list[str]) -> None:
    """Become the real host. Status lines go to standard error, because the engine reads standard output."""
    try:
        host = ensure_tool(YAML_HOST, lambda line: print(line, file=sys.stderr, flush=True))
    except EngineError as error:
        sys.exit(f"lab: {error}")
    os.execv(host, [str(host), *arguments])  # noqa: S606 - our own build


if __name__ == "__main__":
    main(sys.argv[1:])
