"""CloudWatch's alarms and dashboards."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from lab.resource_plugins.aws.common import (
    CHOSEN,
    NEEDED,
    code_of,
    first,
    ignoring_errors,
    region_of,
    regional,
    session_of,
    tag_list,
    tagged,
    tags_read,
)
from lab.resource_plugins.base import Call, Input, Properties, Resource, is_known

_ALARM_GONE: Final = ("ResourceNotFound",)
_DASHBOARD_GONE: Final = ("ResourceNotFound", "DashboardNotFoundError")
_ACTIONS: Final = Input(unordered=True)
_OPTIONS: Final = {
    "actionsEnabled": "ActionsEnabled",
    "alarmActions": "AlarmActions",
    "alarmDescription": "AlarmDescription",
    "comparisonOperator": "ComparisonOperator",
    "datapointsToAlarm": "DatapointsToAlarm",
    "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
    "evaluationPeriods": "EvaluationPeriods",
    "extendedStatistic": "ExtendedStatistic",
    "insufficientDataActions": "InsufficientDataActions",
    "metricName": "MetricName",
    "namespace": "Namespace",
    "okActions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "treatMissingData": "TreatMissingData",
    "unit": "Unit",
}
"""Input -> name in the API, for all inputs that both have in the same form."""
_ALLOWED: Final[Mapping[str, Sequence[str]]] = {
    "comparisonOperator": (
        "GreaterThanOrEqualToThreshold",
        "GreaterThanThreshold",
        "LessThanThreshold",
        "LessThanOrEqualToThreshold",
    ),
    "statistic": ("SampleCount", "Average", "Sum", "Minimum", "Maximum"),
    "treatMissingData": ("missing", "ignore", "breaching", "notBreaching"),
}


def _cloudwatch(call: Call, properties: Mapping[str, Any]) -> Any:
    return session_of(call).client("cloudwatch", region_of(call, properties))


def _check_alarm(_call: Call, inputs: Properties) -> Properties | list[tuple[str, str]]:
    problems = [
        (key, f"expected {key} to be one of {list(allowed)}, got {inputs[key]}")
        for key, allowed in _ALLOWED.items()
        if inputs.get(key) is not None and is_known(inputs[key]) and inputs[key] not in allowed
    ]
    if "statistic" in inputs and "extendedStatistic" in inputs:
        problems.append(("statistic", '"statistic": conflicts with extended_statistic'))
    if "statistic" not in inputs and "extendedStatistic" not in inputs:
        problems.append(("statistic", "one of `statistic` or `extended_statistic` must be set for a metric alarm"))
    return problems or inputs


def _put_alarm(call: Call, inputs: Properties, **more: Any) -> None:
    options = {name: inputs[key] for key, name in _OPTIONS.items() if inputs.get(key) is not None}
    dimensions = [{"Name": name, "Value": value} for name, value in (inputs.get("dimensions") or {}).items()]
    _cloudwatch(call, inputs).put_metric_alarm(
        AlarmName=inputs["name"], **options, **({"Dimensions": dimensions} if dimensions else {}), **more
    )


def _create_alarm(call: Call, inputs: Properties) -> str:
    tags = tag_list(inputs.get("tags"))
    _put_alarm(call, inputs, **({"Tags": tags} if tags else {}))
    return call.created(inputs["name"])


def _read_alarm(call: Call, name: str, state: Properties) -> Properties | None:
    api = _cloudwatch(call, state)
    alarm = first(api.describe_alarms, "MetricAlarms", AlarmNames=[name], AlarmTypes=["MetricAlarm"])
    if alarm is None:
        return None
    tags = api.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    return {
        **{key: alarm.get(option) for key, option in _OPTIONS.items()},
        "treatMissingData": alarm.get("TreatMissingData") or "missing",
        "arn": alarm["AlarmArn"],
        "name": alarm["AlarmName"],
        "dimensions": {each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []},
        **tags_read(call, tags),
    }


def _update_alarm(call: Call, _name: str, state: Properties, inputs: Properties, _changed: frozenset[str]) -> None:
    # The region is not among the inputs of every program, but it is in the state.
    _put_alarm(call, {"region": state.get("region"), **inputs})


def _delete_alarm(call: Call, name: str, state: Properties) -> None:
    with ignoring_errors(*_ALARM_GONE):
        _cloudwatch(call, state).delete_alarms(AlarmNames=[name])


def _retag_alarm(call: Call, _name: str, state: Properties, removed: Sequence[str], added: Mapping[str, str]) -> None:
    api = _cloudwatch(call, state)
    if removed:
        api.untag_resource(ResourceARN=state["arn"], TagKeys=removed)
    if added:
        api.tag_resource(ResourceARN=state["arn"], Tags=tag_list(added))


METRIC_ALARM = regional(
    tagged(
        Resource(
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            {
                "name": Input(replaces=True, computed=True),
                "actionsEnabled": Input(default=True),
                "alarmActions": _ACTIONS,
                "alarmDescription": Input(),
                "comparisonOperator": Input(required=True),
                "datapointsToAlarm": Input(),
                "dimensions": Input(),
                "evaluateLowSampleCountPercentiles": CHOSEN,
                "evaluationPeriods": Input(required=True),
                "extendedStatistic": Input(),
                "insufficientDataActions": _ACTIONS,
                "metricName": Input(required=True),
                "namespace": Input(required=True),
                "okActions": _ACTIONS,
                "period": Input(required=True),
                "statistic": Input(),
                "threshold": Input(),
                "treatMissingData": Input(default="missing"),
                "unit": Input(),
            },
            _create_alarm,
            _read_alarm,
            _update_alarm,
            _delete_alarm,
            outputs=("arn",),
            check=_check_alarm,
            auto_name="name",
        ),
        _retag_alarm,
    )
)


def _put_dashboard(call: Call, inputs: Properties) -> str:
    name: str = inputs["dashboardName"]
    _cloudwatch(call, inputs).put_dashboard(DashboardName=name, DashboardBody=inputs["dashboardBody"])
    return name


def _create_dashboard(call: Call, inputs: Properties) -> str:
    return call.created(_put_dashboard(call, inputs))


def _read_dashboard(call: Call, name: str, state: Properties) -> Properties | None:
    try:
        dashboard = _cloudwatch(call, state).get_dashboard(DashboardName=name)
    except ClientError as error:
        if code_of(error) in _DASHBOARD_GONE:
            return None
        raise
    return {
        "dashboardArn": dashboard["DashboardArn"],
        "dashboardBody": dashboard["DashboardBody"],
        "dashboardName": dashboard["DashboardName"],
    }


def _update_dashboard(call: Call, _name: str, state: Properties, inputs: Properties, _changed: frozenset[str]) -> None:
    _put_dashboard(call, {"region": state.get("region"), **inputs})


def _delete_dashboard(call: Call, name: str, state: Properties) -> None:
    with ignoring_errors(*_DASHBOARD_GONE):
        _cloudwatch(call, state).delete_dashboards(DashboardNames=[name])


def _same_json(one: str, other: str) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except (TypeError, ValueError):
        return one == other


DASHBOARD = regional(
    Resource(
        "aws:cloudwatch/dashboard:Dashboard",
        {
            "dashboardBody": Input(required=True, same=_same_json),
            "dashboardName": NEEDED,
        },
        _create_dashboard,
        _read_dashboard,
        _update_dashboard,
        _delete_dashboard,
        outputs=("dashboardArn",),
    )
)

RESOURCES = (METRIC_ALARM, DASHBOARD)
