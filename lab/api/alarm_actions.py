"""What follows a change of an alarm's state: the history, and the actions of the new state.

EC2's actions are carried out on the instance. The lab has no SNS, so a notification is only kept in the history.
"""

import json
from datetime import datetime
from typing import Any, Final

from moto.cloudwatch.models import Alarm
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends

from lab import settings
from lab.api.state import JOURNAL

_ACTIONS: Final = {"ALARM": "alarm_actions", "OK": "ok_actions", "INSUFFICIENT_DATA": "insufficient_data_actions"}
_RESTARTS: Final = ("reboot", "recover")


def history(alarm: Alarm) -> list[dict[str, Any]]:
    """Return the items of an alarm's history as the API describes them, oldest first."""
    return [item for item in alarm.history if isinstance(item, dict)]


def change_state(alarm: Alarm, state: str, reason: str) -> None:
    """Give an alarm an evaluated state. If the state is another one, its actions follow. The caller holds the lock."""
    before = alarm.state_value
    if state != before:
        alarm.update_state(reason, "{}", state)
        state_changed(alarm, before)


def state_changed(alarm: Alarm, before: str) -> None:
    """Record that an alarm has left the state `before`, and run the actions of its state."""
    _record(
        alarm,
        "StateUpdate",
        f"Alarm updated from {before} to {alarm.state_value}",
        oldState={"stateValue": before},
        newState={"stateValue": alarm.state_value, "stateReason": alarm.state_reason},
    )
    if alarm.actions_enabled:
        for action in getattr(alarm, _ACTIONS[alarm.state_value]):
            problem = _run(alarm, action)
            outcome = f"Failed to execute action {action}" if problem else f"Successfully executed action {action}"
            _record(alarm, "Action", outcome, actionState="Failed" if problem else "Succeeded", error=problem)


def _run(alarm: Alarm, action: str) -> str | None:
    """Run one action; return why it failed."""
    _, _, service, region, *rest = action.split(":")
    if service == "sns":
        return None
    if service != "automate" or rest[0] != "ec2" or rest[-1] not in _RESTARTS:
        return "the lab has only notifications and the EC2 actions reboot and recover"
    (instance_id,) = (each.value for each in alarm.dimensions if each.name == "InstanceId")
    backend = ec2_backends[settings.ACCOUNT_ID][region]
    instance = next((each for each in backend.all_instances() if each.id == instance_id), None)
    if instance is None or instance.state != "running":
        return f"the instance {instance_id} does not run"
    JOURNAL.rebooted(str(instance_id))
    JOURNAL.changed(region)
    return None


def _record(alarm: Alarm, kind: str, summary: str, **data: Any) -> None:
    now: datetime = utcnow()
    alarm.history.append(
        {
            "AlarmName": alarm.name,
            "AlarmType": "MetricAlarm",
            "Timestamp": now,
            "HistoryItemType": kind,
            "HistorySummary": summary,
            "HistoryData": json.dumps({"version": "1.0", **data}),
        }
    )
