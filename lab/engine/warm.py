"""Start stand-ins quickly: `python -m lab.engine.warm SOCKET` imports their modules once, then forks for each start.

A command of Pulumi's CLI starts six Python processes, one after the other, and imports take most of their time. The
launchers of the stand-ins (`lab/engine/warm_client.py`) connect to this server first. The server ends when a source
file of the lab changes; the launchers then start the stand-ins themselves, with the new code.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

VARIABLE: Final = "LAB_WARM_PLUGINS"
"""Environment variable with the path of the server's socket."""

MODULES: Final = (
    "lab.resource_plugins.aws",
    "lab.resource_plugins.command",
    "lab.resource_plugins.random",
    "lab.resource_plugins.tls",
    "lab.language_hosts.python",
)
"""The modules that are started often. Each runs as with `python -m`."""

STARTS: Final = b"+"
"""Message to a client: the server forks a process for it."""

_LAB: Final = Path(__file__).resolve().parents[1]
_MESSAGE_BYTES: Final = 1 << 20
_GRACE_SECONDS: Final = 5.0


def serve(path: Path) -> None:
    """Serve requests on a Unix socket at `path` until a source file changes."""
    for name in MODULES:
        entry = f"{name}.__main__"
        import_module(entry)
        # Removed, because runpy executes it again as a program.
        del sys.modules[entry]
    sources = _sources()
    # Forked processes share the memory of imported objects until the garbage collector writes to it.
    gc.collect()
    gc.freeze()
    # Lets the kernel reap ended children, because this process does not wait for them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    path.unlink(missing_ok=True)
    with _bound(path) as listener:
        while True:
            connection, _ = listener.accept()
            if _sources() != sources:
                path.unlink(missing_ok=True)
                return
            connection.send(STARTS)
            if os.fork() == 0:
                listener.close()
                _become(connection)
            connection.close()


def _become(connection: socket.socket) -> NoReturn:
    """Run the module that the client requests, until it ends or the client ends."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        message, streams, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, 3)
        request = json.loads(message)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        # A group of its own for signals. With a session of its own, its priority would not be the server's: sched(7) on
        # autogroup.
        os.setpgrp()
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = [request["module"], *request["arguments"]]
        threading.Thread(target=_end_with_client, args=(connection,), daemon=True).start()
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else bool(error.code)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:  # the process ends in any case, and the user sees the reason
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(bytes([code]))
        os._exit(code)


def _end_with_client(connection: socket.socket) -> None:
    """End this process when the client has ended. The engine knows the client alone, and sends signals to it."""
    connection.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE_SECONDS)
    os._exit(1)


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Through the directory's descriptor, because the path of a socket is limited to 107 bytes.
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)
    listener.listen()
    return listener


def _sources() -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in _LAB.rglob("*.py")}


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
