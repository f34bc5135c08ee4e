"""One look at all layers in order: what fails, and what is skipped because it needs that."""

from collections.abc import Iterable
from os.path import basename
from traceback import extract_tb
from typing import Any, NamedTuple

from expectations import Gateway
from vpn_verify.layer import FinalError, LayerError
from vpn_verify.start import Start
from vpn_verify.table import GatewayLayer, Look, TunnelLayer, TunnelLook, applies


class Row(NamedTuple):
    """One layer of a report; the names are those of the JSON document."""

    name: str
    status: str
    """`ok`, `failed` or `skipped`."""
    evidence: str
    remedy: str


class Report(NamedTuple):
    """One look."""

    gateway: str
    layers: list[Row]
    final: bool
    """Whether waiting cannot mend what failed."""

    @property
    def ok(self) -> bool:
        """Whether every layer holds."""
        return all(row.status == "ok" for row in self.layers)

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {"ok": self.ok, "gateway": self.gateway, "layers": [row._asdict() for row in self.layers]}


def examine(layers: Iterable[GatewayLayer | TunnelLayer], gateway: Gateway, start: Start, revision: str = "") -> Report:
    """Look at each layer whose needs hold, without those that this gateway does not have.

    `revision` is what must be deployed; empty: any.
    """
    layers = list(layers)
    rows, held, final = list[Row](), set[str](), False
    present = {layer.name for layer in layers}
    tunnels: list[dict[str, Any]] = [{} for _ in gateway.peers]
    for layer in layers:
        if missing := sorted(present.intersection(layer.needs.split()) - held):
            rows.append(Row(layer.name, "skipped", f"needs {', '.join(missing)}", ""))
            continue
        try:
            if isinstance(layer, GatewayLayer):
                evidence = layer.look(Look(gateway, start, revision))
            else:
                evidence = _each(layer, gateway, start, tunnels)
        except (LayerError, OSError) as error:
            reason, *better = error.args if isinstance(error, LayerError) else [str(error)]
            rows.append(Row(layer.name, "failed", reason, [*better, layer.remedy][0]))
            final |= isinstance(error, FinalError)
        except Exception as error:
            # A damaged file may raise any error. Its text is not shown, because it may contain a secret.
            rows.append(Row(layer.name, "failed", f"cannot be looked at: {_place(error)}", layer.remedy))
        else:
            rows.append(Row(layer.name, "ok", evidence, ""))
            held.add(layer.name)
    return Report(gateway.gateway, rows, final)


def _place(error: Exception) -> str:
    """Return the kind of an error, and where it was raised."""
    place = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {basename(place.filename)}, line {place.lineno}"


def _each(layer: TunnelLayer, gateway: Gateway, start: Start, tunnels: list[dict[str, Any]]) -> str:
    """Return the evidence of all tunnels, each text once. `tunnels` is what earlier layers saw of each."""
    texts = list[str]()
    for peer, seen in zip(gateway.peers, tunnels, strict=True):
        if not applies(layer, peer):
            continue
        needed = {name: seen[name] for name in layer.needs.split() if name in seen}
        try:
            seen[layer.name] = layer.look(TunnelLook(gateway, start, peer, needed))
        except LayerError as error:
            evidence, *remedy = error.args
            if len(gateway.peers) == 1 or any(name in evidence for name in (peer.connection, peer.public_ip)):
                raise
            raise type(error)(f"{peer.connection}: {evidence}", *remedy) from error
        texts.append(getattr(seen[layer.name], "evidence", seen[layer.name]))
    return "; ".join(dict.fromkeys(texts))
