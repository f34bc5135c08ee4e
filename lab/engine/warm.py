"""Starts stand-ins without the time of their imports: `python -m lab.engine.warm SOCKET` imports once, then forks.

A command of Pulumi's CLI starts six processes of Python, one after the other, and most of their time is imports. The
launchers of the stand-ins (`lab/engine/warm_client.py`) ask this process first. It ends when a source file changes,
and the launchers then start the stand-ins themselves, with the new code.
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
"""Environment variable with the path of the socket."""

MODULES: Final = (
    "lab.resource_plugins.aws",
    "lab.resource_plugins.command",
    "lab.resource_plugins.random",
    "lab.resource_plugins.tls",
    "lab.language_hosts.python",
)
"""What is started often. A module is run as `python -m` runs it."""

STARTS: Final = b"+"
"""Answer to a client: a process is forked for it."""

_LAB: Final = Path(__file__).resolve().parents[1]
_MESSAGE_BYTES: Final = 1 << 20
_GRACE_SECONDS: Final = 5.0


def serve(path: Path) -> None:
    """Serve requests on a Unix socket at `path` until a source file changes."""
    for name in MODULES:
        entry = f"{name}.__main__"
        import_module(entry)
        # runpy runs it again, as a program.
        del sys.modules[entry]
    sources = _sources()
    # Forked processes share the imported objects for as long as the collector does not touch them.
    gc.collect()
    gc.freeze()
    # The kernel removes children that have ended; this process does not wait for them.
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
    """Be the process that the client has asked for, until it ends or the client does."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        message, streams, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, 3)
        asked = json.loads(message)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.setsid()
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = [asked["module"], *asked["arguments"]]
        threading.Thread(target=_follow, args=(connection,), daemon=True).start()
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else bool(error.code)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:  # the process ends in any case; the user sees why
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.send(bytes([code]))
        os._exit(code)


def _follow(connection: socket.socket) -> None:
    """End this process when the client has ended: the engine ends, and sends signals to, the client."""
    connection.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE_SECONDS)
    os._exit(1)


def _bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # By the directory's descriptor: a socket's path has at most 107 bytes, a checkout's may have more.
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
