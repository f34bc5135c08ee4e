"""Alarms: their creation, their states with the history, and their actions."""

import re
from collections.abc import Iterator
from typing import Any, Final

from moto.cloudwatch.exceptions import ResourceNotFound, ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from lab.api import alarm_actions
from lab.api.corrections import corrects

_PAGES: Final = "AmazonCloudWatch/latest/APIReference"
_SHORT_PERIODS: Final = (10, 20, 30)
_ACTIONS: Final = ("AlarmActions", "OKActions", "InsufficientDataActions")
_DAY: Final = 24 * 3600


class AlarmBackend(CloudWatchBackend):
    """A region's alarms."""

    @corrects("If one name is wrong, no alarm is deleted; tags go with their alarm.", f"{_PAGES}/API_DeleteAlarms.html")
    def delete_alarms(self, alarm_names: list[str]) -> None:
        if missing := [name for name in alarm_names if name not in self.alarms]:
            raise ResourceNotFound(f"Unable to find the alarms: {', '.join(missing)}")
        for name in alarm_names:
            self.tagger.delete_all_tags_for_resource(self.alarms[name].alarm_arn)
        super().delete_alarms(alarm_names)

    @corrects("A state that is set runs the actions like an evaluated one.", f"{_PAGES}/API_SetAlarmState.html")
    def set_alarm_state(self, alarm_name: str, reason: str, reason_data: str, state_value: str) -> None:
        before = self.alarms[alarm_name].state_value if alarm_name in self.alarms else None
        super().set_alarm_state(alarm_name, reason, reason_data, state_value)
        if state_value != before:
            alarm_actions.state_changed(self.alarms[alarm_name], str(before))


class AlarmResponse(CloudWatchResponse):
    """PutMetricAlarm and DescribeAlarmHistory."""

    @corrects(
        "A new alarm has insufficient data; a changed one keeps its state, history and tags.",
        f"{_PAGES}/API_PutMetricAlarm.html",
    )
    def put_metric_alarm(self) -> ActionResult:
        parameters = self._get_params()
        for problem in _problems(parameters):
            raise ValidationError(problem)
        alarms = self.cloudwatch_backend.alarms
        old = alarms.get(parameters["AlarmName"])
        if old is not None:
            parameters.pop("Tags", None)
        answer = super().put_metric_alarm()
        _begin(alarms[parameters["AlarmName"]], old)
        return answer

    @corrects(
        "The history of an alarm has its changes of state and its actions.",
        f"{_PAGES}/API_DescribeAlarmHistory.html",
        adds=True,
    )
    def describe_alarm_history(self) -> ActionResult:
        name, kind = self._get_param("AlarmName"), self._get_param("HistoryItemType")
        items = [
            item
            for alarm in self.cloudwatch_backend.alarms.values()
            if name in (None, alarm.name)
            for item in alarm_actions.history(alarm)
            if kind in (None, item["HistoryItemType"])
        ]
        newest_first = self._get_param("ScanBy") != "TimestampAscending"
        return ActionResult({"AlarmHistoryItems": items[::-1] if newest_first else items})


def _begin(alarm: Alarm, old: Alarm | None) -> None:
    """Give an alarm that was just written the state that it has now."""
    if old is None:
        alarm.state_value = "INSUFFICIENT_DATA"
        alarm.state_updated_timestamp = utcnow()
        return
    for name in ("state_value", "state_reason", "state_reason_data", "state_updated_timestamp", "history"):
        setattr(alarm, name, getattr(old, name))


def _problems(parameters: dict[str, Any]) -> Iterator[str]:
    """Yield what AWS refuses in a PutMetricAlarm."""
    period, periods = parameters.get("Period"), parameters["EvaluationPeriods"]
    if period is not None and period not in _SHORT_PERIODS and (period <= 0 or period % 60):
        yield "Period must be 10, 20, 30 or a multiple of 60"
    if period is not None and period * periods > (7 * _DAY if period >= 3600 else _DAY):
        yield "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
    if parameters.get("DatapointsToAlarm", periods) > periods:
        yield "DatapointsToAlarm must be less than or equal to EvaluationPeriods"
    if ("Threshold" in parameters) == ("ThresholdMetricId" in parameters):
        yield "Exactly one of Threshold and ThresholdMetricId must be specified"
    dimensions = {each["Name"] for each in parameters.get("Dimensions") or []}
    for action in (each for name in _ACTIONS for each in parameters.get(name) or []):
        if not re.match(r"arn:aws[a-z-]*:[a-z0-9-]+:", action):
            yield f"Invalid alarm action: {action}"
        if re.match(r"arn:aws[a-z-]*:automate:[^:]*:ec2:", action) and "InstanceId" not in dimensions:
            yield f"Invalid use of EC2 action {action}: the alarm's metric has no dimension InstanceId"
