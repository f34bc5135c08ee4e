"""Several echoes at once, of any size."""

import time
from collections.abc import Iterable

from icmp import Echoes


def answered(source: str, target: str, sizes: Iterable[int], seconds: float) -> list[int]:
    """Return which of these packets are answered, by their size in bytes with the IP header; all are sent at once.

    Returns as soon as all are answered, and after `seconds` at most. The kernel refuses a packet larger than what it
    knows of the path, and any where no route leads to the target.
    """
    sent, numbers, deadline = list(sizes), set[int](), time.monotonic() + seconds
    echoes = Echoes(source, target, only_target=False)
    with echoes.socket:
        for number, size in enumerate(sent):
            echoes.send(number, size)
        while len(numbers) < len(sent) and (answer := echoes.answer(deadline)) is not None:
            numbers.add(answer)
    return [sent[number] for number in sorted(numbers)]
