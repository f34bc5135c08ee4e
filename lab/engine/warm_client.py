"""Run by the launcher of a stand-in: `python -I -S warm_client.py MODULE ARGUMENTS...`.

Requests a process that runs MODULE from `lab.engine.warm`, and lives as long as that process. Without the server it
becomes `python -P -m MODULE`. Imports only what is fast to import, because its purpose is to save time.
"""

import json
import os
import select
import signal
import socket
import sys

_VARIABLE = "LAB_WARM_PLUGINS"
_POLL_SECONDS = 1.0


def main(module: str, arguments: list[str]) -> None:
    """Run MODULE through the server if there is one, otherwise in this process."""
    connection = _request(module, arguments)
    if connection is None:
        # -P keeps the working directory, which is the user's program, off the import path.
        os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606 - our own modules
    # Python's own handler of SIGINT would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = os.getppid()
    while not select.select([connection], [], [], _POLL_SECONDS)[0]:
        if os.getppid() != parent:
            return
    code = connection.recv(1)
    sys.exit(code[0] if code else 1)


def _request(module: str, arguments: list[str]) -> socket.socket | None:
    """Return a connection to the process that runs MODULE; None when there is no server."""
    folder, name = os.path.split(os.environ.get(_VARIABLE, ""))
    if not name:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {"module": module, "arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    try:
        # Through the directory's descriptor, because the path of a socket is limited to 107 bytes.
        directory = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        connection.connect(f"/proc/self/fd/{directory}/{name}")
        os.close(directory)
        if connection.recv(1) != b"+":
            return None
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    except OSError:
        return None
    return connection


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
