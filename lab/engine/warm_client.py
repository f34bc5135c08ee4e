"""What a launcher of a stand-in runs: `python -I -S warm_client.py MODULE ARGUMENTS...`.

Asks `lab.engine.warm` for a process that runs MODULE, and lives as long as that. Without one it becomes
`python -P -m MODULE`. Imports nothing that takes time: it exists to save time.
"""

import json
import os
import select
import signal
import socket
import sys

_VARIABLE = "LAB_WARM_PLUGINS"
_SECONDS_BETWEEN_LOOKS = 1.0


def main(module: str, arguments: list[str]) -> None:
    """Run MODULE, warm if that is possible."""
    connection = _asked(module, arguments)
    if connection is None:
        # -P keeps the working directory off the import path: it belongs to the user's program.
        os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606 - our own modules
    # At SIGINT Python would show a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = os.getppid()
    while not select.select([connection], [], [], _SECONDS_BETWEEN_LOOKS)[0]:
        if os.getppid() != parent:
            return
    code = connection.recv(1)
    sys.exit(code[0] if code else 1)


def _asked(module: str, arguments: list[str]) -> socket.socket | None:
    """Return a connection to the process that runs MODULE; None when there is no server."""
    folder, name = os.path.split(os.environ.get(_VARIABLE, ""))
    if not name:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked = {"module": module, "arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    try:
        # By the directory's descriptor: a socket's path has at most 107 bytes.
        directory = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        connection.connect(f"/proc/self/fd/{directory}/{name}")
        os.close(directory)
        if connection.recv(1) != b"+":
            return None
        socket.send_fds(connection, [json.dumps(asked).encode()], [0, 1, 2])
    except OSError:
        return None
    return connection


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
