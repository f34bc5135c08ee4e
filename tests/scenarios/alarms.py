"""The alarms of the running pair, and what was promised about their times."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from lab.alarms import alarms
from lab.api.client import client
from lab.observe import regions
from tests.scenarios.gateway import wait_until

PROMISED: Final = 180.0
"""Seconds in which an alarm begins and ends."""

WITHOUT_DATA: Final = 360.0
"""Seconds in which the alarm of a gateway that publishes nothing begins: a minute that is published yet, three periods
without data in the lab (AWS does not say how many), and the evaluation.
"""

UK_DOWN: Final = "vpn-uk-tunnel-au-down"
AU_DOWN: Final = "vpn-au-tunnel-uk-down"
DOWN: Final = {UK_DOWN, AU_DOWN}
"""The alarms of the tunnel, one on each side."""

UK_FAULT: Final = "vpn-uk-gateway-fault"


def raised() -> set[str]:
    """Return the names of the alarms that are on, without the characters that Pulumi adds."""
    return {short(each.name) for each in alarms() if each.state == "ALARM"}


def raised_since(moment: datetime) -> set[str]:
    """Return the names of the existing alarms that have begun since a moment, also of those that are over."""
    return {
        short(item["AlarmName"])
        for region in regions()
        for item in client("cloudwatch", region).describe_alarm_history()["AlarmHistoryItems"]
        if item["HistorySummary"].endswith("to ALARM") and item["Timestamp"] >= moment
    }


def short(name: str) -> str:
    """Return the name of an alarm as the component gives it."""
    return re.sub("-[0-9a-f]{7}$", "", name)


def wait(what: str, condition: Callable[[], bool], seconds: float = PROMISED) -> float:
    """Wait for a condition, print how long that took, and return it. Raises StepError after `seconds`."""
    began = time.monotonic()
    wait_until(what, condition, seconds)
    took = time.monotonic() - began
    print(f"{what}: {took:.0f} s", flush=True)
    return took
