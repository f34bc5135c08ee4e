"""A gateway's free memory and table of connections, looked at twice a second."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.scenarios.gateway import Gateway

_FILE: Final = "/run/samples"
_BEGIN: Final = f"""systemd-run --quiet --collect --unit=samples sh -c '
while sleep 0.5; do
  grep -hE "^[0-9]|^MemAvailable:" /proc/sys/net/netfilter/nf_conntrack_count /proc/meminfo
done >{_FILE}'"""
_END: Final = f"systemctl stop samples; cat {_FILE}; rm {_FILE}"


@dataclass(frozen=True)
class Sample:
    """One look."""

    connections: int
    """How many the kernel tracks."""
    available_kib: int
    """Memory that programs can still get without swap (proc(5), MemAvailable)."""


@contextmanager
def sampled(gateway: Gateway) -> Iterator[list[Sample]]:
    """Look at the gateway until the block ends. The list is filled then."""
    samples: list[Sample] = []
    gateway.run(_BEGIN)
    try:
        yield samples
    finally:
        samples += parse(gateway.run(_END))


def parse(text: str) -> list[Sample]:
    """Return the samples in a file of them."""
    found = re.findall(r"^(\d+)\nMemAvailable: +(\d+) kB$", text, re.MULTILINE)
    return [Sample(int(connections), int(available)) for connections, available in found]
