"""Decide the state of an alarm from the datapoints of its metric. Pure.

CloudWatch looks at more periods than the alarm's evaluation periods, and counts a missing datapoint only if too few
real ones are among them. So an alarm that treats missing data as breaching follows the end of its metric later than its
evaluation periods suggest. Source:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

_MORE_PERIODS: Final = 2
"""AWS does not say how many; its examples have five periods for an alarm with three."""

_COMPARISONS: Final[Mapping[str, tuple[Callable[[float, float], bool], str]]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What an alarm compares."""

    comparison: str
    threshold: float
    period: int
    """Seconds."""
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: str = "missing"
    """How missing data is treated: breaching, notBreaching, ignore, missing."""

    def breaches(self, value: float) -> bool:
        """Return whether a value is on the wrong side of the threshold."""
        return _COMPARISONS[self.comparison][0](value, self.threshold)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A state, and the reason in CloudWatch's words."""

    state: State
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Datapoint:
    begin: float
    age: int
    """1 for the last complete period, 2 for the one before it, and so on."""
    value: float


def range_begin(conditions: Conditions, now: float) -> float:
    """Return the begin of the first period that an evaluation at `now` looks at."""
    return (now // conditions.period - conditions.evaluation_periods - _MORE_PERIODS) * conditions.period


def decide(values: Mapping[float, float], conditions: Conditions, now: float) -> Decision | None:
    """Return the state at `now`, or None if it remains as it is.

    `values` are the values of the periods by their begin. Only periods that have ended are evaluated.
    """
    last = now // conditions.period * conditions.period
    present = [
        _Datapoint(begin=begin, age=round((last - begin) / conditions.period), value=values[begin])
        for begin in sorted(values)
        if range_begin(conditions, now) <= begin < last
    ]
    if len(present) >= conditions.evaluation_periods:
        return _compared(present[-conditions.evaluation_periods :], 0, conditions)
    return _incomplete(present, conditions)


def _incomplete(present: Sequence[_Datapoint], conditions: Conditions) -> Decision | None:
    """Decide with fewer datapoints than evaluation periods."""
    unknown = conditions.evaluation_periods - len(present)
    if conditions.missing in {"breaching", "notBreaching"}:
        return _compared(present, unknown, conditions)
    if not present:
        if conditions.missing == "ignore":
            return None
        return Decision(
            state="INSUFFICIENT_DATA", reason=f"Insufficient Data: {_count(unknown)} {_was(unknown)} unknown."
        )
    breaching = [each for each in present if conditions.breaches(each.value)]
    enough = len(breaching) >= conditions.datapoints_to_alarm
    if enough or len(breaching) < len(present):
        return _compared(present, 0, conditions)
    # Every known datapoint breaches, but there are too few of them. A single late one must not cause an alarm.
    if conditions.missing == "missing" and present[0].age >= conditions.datapoints_to_alarm:
        return _compared(present, 0, conditions, alarm=True)
    return None


def _compared(present: Sequence[_Datapoint], filled: int, conditions: Conditions, *, alarm: bool = False) -> Decision:
    """Count the datapoints that breach, with `filled` missing ones, which count as the alarm says."""
    breaching = [each for each in present if conditions.breaches(each.value)]
    worst = len(breaching) + (filled if conditions.missing == "breaching" else 0)
    state: State = "ALARM" if alarm or worst >= conditions.datapoints_to_alarm else "OK"
    return Decision(state=state, reason=f"Threshold Crossed: {_reason(present, filled, conditions, state)}.")


def _reason(present: Sequence[_Datapoint], filled: int, conditions: Conditions, state: State) -> str:
    treated = "Breaching" if conditions.missing == "breaching" else "NonBreaching"
    words = f"{filled} missing {'datapoint was' if filled == 1 else 'datapoints were'} treated as [{treated}]"
    if not present:
        periods = f"{filled} period{'s' if filled > 1 else ''}"
        return f"no datapoints were received for {periods} and {words}"
    shown = [each for each in reversed(present) if conditions.breaches(each.value) == (state == "ALARM")] or present
    were = f"{'was' if len(shown) == 1 else 'were'}{'' if conditions.breaches(shown[0].value) else ' not'}"
    listed = ", ".join(f"{float(each.value)} ({_moment(each.begin)})" for each in shown)
    comparison = _COMPARISONS[conditions.comparison][1]
    of = f"{len(shown)} out of the last {len(present) + filled} datapoints"
    crossed = f"{of} [{listed}] {were} {comparison} the threshold ({float(conditions.threshold)})"
    if filled:
        return f"{crossed} and {words}"
    least = conditions.datapoints_to_alarm
    if state == "OK":
        least = conditions.evaluation_periods - least + 1
    change = "OK -> ALARM" if state == "ALARM" else "ALARM -> OK"
    return f"{crossed} (minimum {_count(least)} for {change} transition)"


def _count(number: int) -> str:
    return f"{number} datapoint{'' if number == 1 else 's'}"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%d/%m/%y %H:%M:%S")
