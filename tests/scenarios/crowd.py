"""Many connections from one host to the Internet, and how many its gateway tracks. Each end is a process."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from lab import settings
from tests.scenarios.gateway import Gateway
from tests.scenarios.sites import Site

_PORT: Final = 7405

SILENT: Final = settings.ELASTIC_IP_POOLS[-1][-2]
"""An Elastic IP that no stack has, because the lab allocates the lowest ones first. Nothing answers there.

A server would refuse the connection, and the gateway would forget it at once.
"""


def tracked(gateway: Gateway) -> int:
    """Return how many connections the gateway tracks."""
    return int(gateway.read("/proc/sys/net/netfilter/nf_conntrack_count"))


def capacity(gateway: Gateway) -> int:
    """Return how many connections the gateway's table holds."""
    return int(gateway.read("/proc/sys/net/netfilter/nf_conntrack_max"))


class CrowdError(Exception):
    """A process of the crowd ended or printed something else; the message has its last output."""


class Crowd:
    """The output of the host that opens connections."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def hear(self, word: str) -> list[str]:
        """Return the rest of the next line, which has to begin with `word`. Raises CrowdError."""
        assert self._process.stdout
        line = self._process.stdout.readline().split()
        if not line or line[0] != word:
            assert self._process.stderr
            raise CrowdError(f"{line} instead of {word!r}: {self._process.stderr.read()[-1000:] if not line else ''}")
        return line[1:]


@contextmanager
def crowd(site: Site, *, kept: int, more: int, rate: int, hold: int = 0) -> Iterator[Crowd]:
    """Open connections from a site's private host until the block ends.

    A server on the Internet accepts `kept` connections. Then the host sends the first packet of `more` connections to
    an address where nothing answers, `rate` a second. After that it sends `hold` a second.
    """
    web = str(settings.WEB_SERVER)
    with ExitStack() as stack:
        server = stack.enter_context(_process(settings.INTERNET_NAMESPACE, "serve", web, _PORT))
        Crowd(server).hear("serving")
        host = site.private_host
        opener = _process(host.namespace, "open", host.private_ip, web, _PORT, kept, SILENT, more, rate, hold)
        yield Crowd(stack.enter_context(opener))


@contextmanager
def _process(namespace: str, *arguments: object) -> "Iterator[subprocess.Popen[str]]":
    words = [sys.executable, "-m", "tests.scenarios.crowd_endpoint", *map(str, arguments)]
    with subprocess.Popen(
        ["ip", "netns", "exec", namespace, *words],
        cwd=settings.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
