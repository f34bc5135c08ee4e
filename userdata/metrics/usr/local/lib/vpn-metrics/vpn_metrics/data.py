"""What is published of one minute. Decides only: no clock, no socket, no command."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Answers = Sequence[float | None]
"""Seconds until each echo of a minute was answered; None: it was not."""


RECENT = 30
"""The last echoes of a minute, of which one has to be answered if the tunnel is up. All of them would be too many: an
outage that begins after an answer would raise its alarm a minute later. With fewer, a short outage would raise one."""


class Sa(NamedTuple):
    """What pluto says about a Child SA."""

    age: float
    """Seconds."""
    inward: int
    """Bytes that it has brought."""
    outward: int


class Counters(NamedTuple):
    """What is counted since a start of the kernel or of pluto; None: it could not be read."""

    plaintext_dropped: int | None
    """Packets of the peers' ranges that came, or would have gone, without IPsec."""
    connections: int | None
    """Entries in the kernel's table of connections."""
    most_connections: int
    sas: Mapping[str, Mapping[str, Sa]] | None
    """Connection -> SA -> what pluto says."""


class Datum(NamedTuple):
    """One value of a metric, of the gateway itself or of one of its tunnels."""

    metric: str
    value: float
    unit: str
    """As CloudWatch calls it (CloudWatch API reference, MetricDatum, Unit)."""
    tunnel: str = ""


def has_sa(tunnel: str, now: Counters) -> bool:
    """Return whether a tunnel has a Child SA."""
    return bool(now.sas and now.sas.get(tunnel))


def of_tunnel(
    tunnel: str, answers: Answers | None, before: Counters | None, now: Counters, *, detailed: bool
) -> list[Datum]:
    """Return the data of one tunnel. `answers` is None if no echoes are sent; its SAs then tell whether it is up."""
    trips = [each for each in answers or () if each is not None]
    is_up = has_sa(tunnel, now) if answers is None else any(each is not None for each in answers[-RECENT:])
    data = [Datum("TunnelUp", 1 if is_up else 0, "None", tunnel)]
    if answers:
        data.append(Datum("LostEchoes", 100 * (1 - len(trips) / len(answers)), "Percent", tunnel))
    if trips:
        data.append(Datum("RoundTripTime", 1000 * sum(trips) / len(trips), "Milliseconds", tunnel))
    return [*data, *(_of_sas(tunnel, before, now) if detailed else [])]


def _of_sas(tunnel: str, before: Counters | None, now: Counters) -> list[Datum]:
    if now.sas is None:
        return []
    sas = now.sas.get(tunnel, {})
    data = [Datum("SaAge", max(each.age for each in sas.values()), "Seconds", tunnel)] if sas else []
    if before is None or before.sas is None:
        return data
    earlier = before.sas.get(tunnel, {})
    none = Sa(0, 0, 0)
    pairs = [(earlier.get(name, none), sa) for name, sa in sas.items()]
    return [
        *data,
        Datum("BytesIn", sum(since(old.inward, new.inward) for old, new in pairs), "Bytes", tunnel),
        Datum("BytesOut", sum(since(old.outward, new.outward) for old, new in pairs), "Bytes", tunnel),
    ]


def of_gateway(before: Counters | None, now: Counters, layers_failed: int | None) -> list[Datum]:
    """Return the data of the gateway itself. `layers_failed` is what vpn-verify says; None: nothing."""
    data = []
    if before is not None and before.plaintext_dropped is not None and now.plaintext_dropped is not None:
        dropped = since(before.plaintext_dropped, now.plaintext_dropped)
        data.append(Datum("PlaintextDropped", dropped, "Count"))
    if now.connections is not None and now.most_connections:
        data.append(Datum("ConnectionsTracked", 100 * now.connections / now.most_connections, "Percent"))
    if layers_failed is not None:
        data.append(Datum("LayersFailed", layers_failed, "Count"))
    return data


def since(before: int, now: int) -> int:
    """Return what a counter has counted since; one that is smaller has started again."""
    return now - before if now >= before else now
