"""Runs one function inside a network namespace while the rest of the process stays in its own."""

import socket
import threading
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TypeVar

from pyroute2 import netns  # type: ignore[import-untyped]

_T = TypeVar("_T")

_BACKLOG = 128


def call_in(namespace: str, function: Callable[[], _T]) -> _T:
    """Run `function` inside the named network namespace and return its result; its exception is raised here.

    A namespace belongs to a thread (setns(2)), so the call runs in a separate thread, which ends with it. Sockets
    that it creates stay in the namespace. Raises FileNotFoundError when there is no namespace of that name.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            netns.setns(namespace, flags=0)
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=f"in-{namespace}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def listen(namespace: str, address: IPv4Address | str, port: int) -> socket.socket:
    """Return a TCP socket that listens on `address`:`port` inside the network namespace. The caller closes it.

    Raises FileNotFoundError when the namespace does not exist, OSError when it does not have the address or the port
    is taken.
    """

    def create() -> socket.socket:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((str(address), port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"{error.strerror}: {address}:{port} in namespace {namespace}") from error
        return listener

    return call_in(namespace, create)
