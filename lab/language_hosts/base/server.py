"""Serve a language host, as the engine starts one: a process that prints its port.

The real ones are Go programs that cannot be had where only registries can be reached. These speak the same protocol and
do the same for what programs, component plugins and SDKs need; what nothing here needs is refused by name. Every
command of the CLI waits for its host to start, so a host imports nothing that it can do without.
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
# RunPlugin holds a thread for as long as the plugin lives; a program may use several plugins in Python.
_THREADS = 64
_SECONDS_BETWEEN_LOOKS = 1.0


def serve(host_of: Callable[[str], LanguageHost], arguments: list[str]) -> None:
    """Serve on a free loopback port and print it, as the engine expects; arguments end with the engine's address."""
    if "--version" in arguments or "-version" in arguments:
        from importlib.metadata import version  # noqa: PLC0415 - 50 ms that few commands need

        print(version("pulumi"))
        return
    host = host_of(arguments[-1] if arguments else "")

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler gets both
        # The engine waits five seconds for a host that tidies up, at every command.
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
    threading.Thread(target=_follow_the_engine, args=(host, os.getppid()), daemon=True).start()
    server.wait_for_termination()


def _follow_the_engine(host: LanguageHost, engine: int) -> None:
    """End when the engine has died without a word: nobody else would end this process and what it has started."""
    while os.getppid() == engine:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    host.children.kill()
    os._exit(1)
