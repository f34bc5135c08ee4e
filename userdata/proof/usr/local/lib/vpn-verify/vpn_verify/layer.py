"""What one layer returns or raises."""

from typing import NamedTuple

Growth = tuple[int, int]
"""Bytes in and out."""


class IkeSa(NamedTuple):
    """What the layer `ike` saw."""

    evidence: str
    status: str
    """The connection's lines of `whack --status`, read when the IKE SA stood."""


class Ping(NamedTuple):
    """What the layer `ping` saw."""

    evidence: str
    growth: Growth
    """What the tunnel carried meanwhile."""


class LayerError(Exception):
    """A layer does not hold: the evidence, and a remedy where the table's is not the right one."""


class FinalError(LayerError):
    """A layer does not hold, and waiting cannot mend it."""
