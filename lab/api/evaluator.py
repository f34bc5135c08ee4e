"""Evaluates all alarms regularly, in the API's process, because the metrics and the alarms are in its memory."""

import threading
import time
import traceback
from typing import Any, Final

from moto.cloudwatch.models import Alarm, cloudwatch_backends

from lab import settings
from lab.api.alarm_actions import change_state
from lab.api.datapoints import STATISTICS, aggregate
from lab.api.evaluation import Conditions, decide, range_begin
from lab.api.metrics import dimensions_of
from lab.api.state import LOCK

TICK_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 10.0
"""How long after the end of a period it is evaluated: a value that was measured in it takes a moment to arrive."""
_STANDARD_STEP: Final = 60
_SHORT_STEP: Final = 10
"""Seconds between two evaluations of an alarm with a period below a minute."""


def start() -> None:
    """Evaluate in a thread until the process ends."""
    threading.Thread(target=_run, name="alarms", daemon=True).start()


def evaluate_all(now: float) -> None:
    """Evaluate each alarm that was not evaluated yet at the step before `now`."""
    with LOCK:
        for backend in list(cloudwatch_backends[settings.ACCOUNT_ID].values()):
            for alarm in list(backend.alarms.values()):
                _evaluate(backend, alarm, now)


def _run() -> None:
    while True:
        time.sleep(TICK_SECONDS)
        try:
            evaluate_all(time.time())
        except Exception:  # the thread must go on, whatever fails
            # The next evaluation may succeed: the alarm that failed may be gone or changed.
            print(traceback.format_exc(), end="", flush=True)


def _evaluate(backend: Any, alarm: Any, now: float) -> None:
    conditions = _conditions(alarm)
    if conditions is None:
        return
    step = _SHORT_STEP if conditions.period < _STANDARD_STEP else _STANDARD_STEP
    moment = (now - _SETTLE_SECONDS) // step * step
    if getattr(alarm, "lab_evaluated_at", None) == moment:
        return
    alarm.lab_evaluated_at = moment
    begin = range_begin(conditions, moment)
    samples = backend.samples(alarm.namespace, alarm.metric_name, dimensions_of(alarm.dimensions))
    found = aggregate((each for each in samples if each.time >= begin), conditions.period, [alarm.statistic])
    values = {begin: statistics[alarm.statistic] for begin, statistics in found.items()}
    decision = decide(values, conditions, moment)
    if decision is not None:
        change_state(alarm, decision.state, decision.reason)


def _conditions(alarm: Alarm) -> Conditions | None:
    """Return what an alarm compares; None for one that the lab cannot evaluate (metric math, percentiles)."""
    if alarm.statistic not in STATISTICS:
        return None
    return Conditions(
        comparison=alarm.comparison_operator,
        threshold=float(alarm.threshold),
        period=alarm.period,
        evaluation_periods=alarm.evaluation_periods,
        datapoints_to_alarm=alarm.datapoints_to_alarm or alarm.evaluation_periods,
        missing=alarm.treat_missing_data or "missing",
    )
