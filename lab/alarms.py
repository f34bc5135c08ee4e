"""The alarms of all regions of the lab."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lab.api.client import client
from lab.observe import regions


@dataclass(frozen=True, kw_only=True)
class AlarmStatus:
    """One line of `lab alarms`."""

    region: str
    name: str
    state: str
    since: datetime
    reason: str

    def __str__(self) -> str:
        """Return one line for users."""
        since = self.since.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"{self.region:<15} {self.name:<32} {self.state:<17} {since}  {self.reason}"


def alarms(of_regions: Iterable[str] | None = None) -> list[AlarmStatus]:
    """Return the alarms of some regions, or of all in which anything was ever created, by region and name."""
    return [
        AlarmStatus(
            region=region,
            name=alarm["AlarmName"],
            state=alarm["StateValue"],
            since=alarm["StateUpdatedTimestamp"],
            reason=alarm["StateReason"],
        )
        for region in sorted(regions() if of_regions is None else of_regions)
        for alarm in sorted(
            client("cloudwatch", region).describe_alarms()["MetricAlarms"], key=lambda alarm: str(alarm["AlarmName"])
        )
    ]
