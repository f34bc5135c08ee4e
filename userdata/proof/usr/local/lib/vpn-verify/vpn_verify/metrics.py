"""The layer `metrics`: whether CloudWatch takes what vpn-metrics publishes."""

import json

from vpn_verify.layer import LayerError

SETTINGS = "/etc/vpn-gateway/metrics.json"
RECORD = "/run/vpn-metrics/last.json"
"""What became of the last minute; vpn-metrics writes it."""

MINUTE = 60

OLDEST = 150
"""Seconds: two minutes and the time that a call may take."""


def metrics(record: str, now: float) -> str:
    """Check that the last minute was published, that every tunnel was up in it, and that no layer failed.

    The alarms are created after that. CloudWatch looks at whole minutes of the clock, so that of the first data has to
    be over: an alarm that looks at the minute before it would be raised at once.
    """
    if not record:
        raise LayerError("vpn-metrics has not published yet: it does so once a minute")
    last = json.loads(record)
    if problem := last.get("problem"):
        raise LayerError(problem)
    age = now - last["published"]
    if age > OLDEST:
        raise LayerError(f"published nothing for {age:.0f} s")
    if last["down"]:
        raise LayerError(f"the last minute was published with {', '.join(last['down'])} down")
    if number := last.get("layers_failed"):
        raise LayerError(f"the last minute was published with LayersFailed {number}")
    if last.get("well_since", 0) // MINUTE == now // MINUTE:
        raise LayerError("the first minute of the clock with data is not over yet")
    return f"published {age:.0f} s ago"
