"""Serves a language host as the engine expects it: as a process that prints its port.

The real language hosts are Go programs that no package registry has. These stand-ins speak the same protocol and
support what programs, component plugins and SDKs need; every other method is refused with its name. Every command of
the CLI waits for its host to start, so a host imports as little as possible.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import grpc

from lab.language_hosts.base.host import LanguageHost
from lab.language_hosts.base.protocol import language_pb2_grpc

_MESSAGE_BYTES = 400 * 1024 * 1024
"""The engine's own limit (rpcutil.maxRPCMessageSize)."""
# RunPlugin occupies a thread while the plugin runs, and a program may use several plugins in Python.
_THREADS = 64
_POLL_SECONDS = 1.0


def serve(make_host: Callable[[str], LanguageHost], arguments: list[str]) -> None:
    """Serve on a free loopback port and print the port. The last of `arguments` is the engine's address."""
    if "--version" in arguments or "-version" in arguments:
        from importlib.metadata import version  # noqa: PLC0415 - takes 50 ms, and few commands need it

        print(version("pulumi"))
        return
    host = make_host(arguments[-1] if arguments else "")

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - arguments of a signal handler
        # Without cleaning up: at the end of every command the engine waits up to five seconds for the host.
        host.children.kill()
        os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    sizes = [(f"grpc.max_{direction}_message_length", _MESSAGE_BYTES) for direction in ("send", "receive")]
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=sizes)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    threading.Thread(target=_end_with_engine, args=(host, os.getppid()), daemon=True).start()
    server.wait_for_termination()


def _end_with_engine(host: LanguageHost, engine: int) -> None:
    """End this process and its children when the engine was killed and could not end them."""
    while os.getppid() == engine:
        time.sleep(_POLL_SECONDS)
    host.children.kill()
    os._exit(1)
