"""The service: measures for most of a minute, then publishes."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from expectations import ExpectationsError, load
from vpn_metrics import cloudwatch, echoes, layers, machine
from vpn_metrics.data import Counters, Datum, has_sa, of_gateway, of_tunnel
from vpn_metrics.settings import Settings, read_settings

INTERVAL = 60
"""Seconds from one publication to the next."""

RECORD = Path("/run/vpn-metrics/last.json")
"""What became of the last minute, for vpn-verify."""

ECHOES = 50
"""Echoes of each minute, one a second."""

PAUSE = 5
"""Seconds after which a tunnel that is judged by its SAs, and has none, is looked at again: a peer that authenticates
afresh has none for a moment."""


def collect(settings: Settings, before: Counters | None) -> tuple[list[Datum], Counters]:
    """Measure for `ECHOES` seconds; return the data, and the counters that the next minute begins with."""
    gateway = load()
    answers = echoes.measure(gateway, ECHOES)
    tunnels = [peer.connection for peer in gateway.peers]
    now = machine.counters(tunnels)
    if any(each not in answers and not has_sa(each, now) for each in tunnels):
        time.sleep(PAUSE)
        now = machine.counters(tunnels)
    data = of_gateway(before, now, layers.failed())
    for tunnel in tunnels:
        data += of_tunnel(tunnel, answers.get(tunnel), before, now, detailed=settings.detailed)
    return data, now


def record(**state: Any) -> None:
    """Tell vpn-verify what became of the last minute."""
    draft = RECORD.with_suffix(".new")
    draft.write_text(json.dumps(state), encoding="utf-8")
    draft.replace(RECORD)


def main() -> None:
    """Publish without end. A minute that cannot be published is printed, and its data are lost."""
    try:
        settings = read_settings()
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"/etc/vpn-gateway/metrics.json is not what vpn-configure brings ({error!r}): sudo vpn-configure")
    before: Counters | None = None
    well_since: float | None = None
    problem = ""
    while True:
        began = time.monotonic()
        try:
            data, before = collect(settings, before)
            cloudwatch.publish(settings, data)
            now = time.time()
            down = [each.tunnel for each in data if each.metric == "TunnelUp" and not each.value]
            failed = next((each.value for each in data if each.metric == "LayersFailed"), None)
            well_since = None if down or failed else well_since or now
            record(published=now, well_since=well_since, down=down, layers_failed=failed)
            found = ""
        except (OSError, ValueError, KeyError, ExpectationsError) as error:
            found, well_since = str(error), None
            record(problem=found)
        # Once, not in each minute: the journal is small.
        if found != problem:
            print(found or "published again", flush=True)
            problem = found
        time.sleep(max(0.0, began + INTERVAL - time.monotonic()))


if __name__ == "__main__":
    main()
