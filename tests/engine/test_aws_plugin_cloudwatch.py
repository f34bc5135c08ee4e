"""The stand-in's CloudWatch resources with the real engine and the lab's API: an alarm and a dashboard.

Proves no-op, changes in place and by replacement, drift, import and destroy. `pytest
tests/engine/test_aws_plugin_cloudwatch.py`; nothing to clean up.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest
from pulumi import automation

from tests.engine.api_process import ApiProcess
from tests.engine.aws_stack import LEFT
from tests.engine.inline_stack import InlineStack
from tests.engine.test_aws_plugin import changes_of_up, client, summary

pytestmark = [pytest.mark.engine, pytest.mark.whole]

ALARM: dict[str, Any] = {
    "comparison_operator": "LessThanThreshold",
    "evaluation_periods": 3,
    "datapoints_to_alarm": 2,
    "metric_name": "TunnelUp",
    "namespace": "VpnGatewayPair",
    "period": 60,
    "statistic": "Minimum",
    "threshold": 1,
    "treat_missing_data": "breaching",
    "dimensions": {"Gateway": "uk", "Peer": "au"},
    "alarm_description": "the tunnel is down",
    "alarm_actions": ["arn:aws:sns:eu-west-2:123456789012:b", "arn:aws:sns:eu-west-2:123456789012:a"],
    "tags": {"purpose": "test"},
}
BODY: dict[str, Any] = {"widgets": [{"type": "text", "width": 6, "properties": {"markdown": "# VPN"}}]}
CREATED = 4
"""The stack, the provider, the alarm and the dashboard."""


@pytest.fixture
def stack(aws_environment: dict[str, str], tmp_path: Path) -> Iterator[InlineStack]:
    stack = InlineStack(tmp_path / "stack", ["aws"])
    yield stack
    stack.destroy()


def program(
    *,
    alarm: dict[str, Any] | None = None,
    body: str = json.dumps(BODY),
    name: str = "vpn",
    imported: tuple[str | None, str | None] = (None, None),
) -> None:
    """Declare an alarm with the changes `alarm`, and a dashboard."""
    provider = aws.Provider("here", region=LEFT, default_tags={"tags": {"stack": "test"}})
    alarm_id, dashboard_id = imported
    aws.cloudwatch.MetricAlarm(
        "tunnel", **{**ALARM, **(alarm or {})}, opts=pulumi.ResourceOptions(provider=provider, import_=alarm_id)
    )
    aws.cloudwatch.Dashboard(
        "dashboard",
        dashboard_name=name,
        dashboard_body=body,
        opts=pulumi.ResourceOptions(provider=provider, import_=dashboard_id),
    )


def test_an_alarm_and_a_dashboard_are_created_found_unchanged_and_destroyed(
    stack: InlineStack, api: ApiProcess
) -> None:
    assert summary(stack.preview(program)) == {"create": CREATED}
    assert summary(stack.up(program)) == {"create": CREATED}
    assert summary(stack.refresh(program)) == {"same": CREATED}
    # The same JSON in another form is no change.
    assert summary(stack.up(partial(program, body=json.dumps(BODY, indent=2)))) == {"same": CREATED}
    resources = stack.resources()
    alarm, dashboard = resources["tunnel"], resources["dashboard"]
    assert alarm["id"].startswith("tunnel-")
    assert alarm["outputs"]["name"] == alarm["id"]
    assert alarm["outputs"]["arn"] == f"arn:aws:cloudwatch:{LEFT}:123456789012:alarm:{alarm['id']}"
    assert alarm["outputs"]["tagsAll"] == {"purpose": "test", "stack": "test"}
    assert (dashboard["id"], dashboard["outputs"]["dashboardArn"]) == (
        "vpn",
        "arn:aws:cloudwatch::123456789012:dashboard/vpn",
    )
    (described,) = client("cloudwatch").describe_alarms(AlarmNames=[alarm["id"]])["MetricAlarms"]
    assert (described["Threshold"], described["DatapointsToAlarm"]) == (1.0, 2)
    assert {each["Name"]: each["Value"] for each in described["Dimensions"]} == ALARM["dimensions"]
    assert {alarm["id"], "vpn"} <= set(api.left_over(LEFT))
    stack.destroy()
    assert api.left_over(LEFT) == []


def test_a_name_replaces_and_all_else_changes_in_place(stack: InlineStack) -> None:
    stack.up(program)
    last = client("cloudwatch").describe_alarms()["MetricAlarms"][0]["AlarmName"]
    changed = {
        "threshold": 2,
        "treat_missing_data": None,
        "ok_actions": ["arn:aws:sns:eu-west-2:123456789012:a"],
        "alarm_actions": list(reversed(ALARM["alarm_actions"])),
        "dimensions": {"Gateway": "uk"},
        "tags": {"owner": "somebody"},
    }
    body = json.dumps({"widgets": []})
    assert changes_of_up(stack, partial(program, alarm=changed, body=body)) == {
        "tunnel": {
            "op": "update",
            "dimensions.Peer": "delete",
            "okActions": "update",
            "tags.owner": "add",
            "tags.purpose": "delete",
            "threshold": "update",
            "treatMissingData": "update",
        },
        "dashboard": {"op": "update", "dashboardBody": "update"},
    }
    (alarm,) = client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert (alarm["AlarmName"], alarm["TreatMissingData"]) == (last, "missing")
    tags = client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    assert sorted(each["Key"] for each in tags) == ["owner", "stack"]

    renamed = partial(program, alarm={**changed, "name": "vpn-tunnel"}, body=body, name="vpn-2")
    assert {name: each["op"] for name, each in changes_of_up(stack, renamed).items()} == {
        "tunnel": "create-replacement",
        "dashboard": "create-replacement",
    }
    resources = stack.resources()
    assert (resources["tunnel"]["id"], resources["dashboard"]["id"]) == ("vpn-tunnel", "vpn-2")
    assert [each["AlarmName"] for each in client("cloudwatch").describe_alarms()["MetricAlarms"]] == ["vpn-tunnel"]


def test_a_refresh_detects_changes_and_deletions_and_up_repairs_them(stack: InlineStack) -> None:
    stack.up(program)
    cloudwatch = client("cloudwatch")
    (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
    keys = ("AlarmName", "Namespace", "MetricName", "Dimensions", "ComparisonOperator", "EvaluationPeriods", "Period")
    cloudwatch.put_metric_alarm(**{key: alarm[key] for key in keys}, Statistic="Minimum", Threshold=9.0)
    cloudwatch.delete_dashboards(DashboardNames=["vpn"])
    refreshed = summary(stack.refresh(program))
    assert (refreshed["update"], refreshed["delete"]) == (1, 1)
    changes = changes_of_up(stack, program)
    assert changes["dashboard"] == {"op": "create"}
    assert changes["tunnel"] == {
        "op": "update",
        "alarmActions": "update",
        "alarmDescription": "add",
        "datapointsToAlarm": "add",
        "threshold": "update",
        "treatMissingData": "update",
    }
    assert summary(stack.preview(program)) == {"same": CREATED}
    cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
    assert summary(stack.refresh(program))["delete"] == 1


def test_both_are_imported_by_name(stack: InlineStack) -> None:
    cloudwatch = client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="old",
        ComparisonOperator="LessThanThreshold",
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        MetricName="TunnelUp",
        Namespace="VpnGatewayPair",
        Period=60,
        Statistic="Minimum",
        Threshold=1.0,
        TreatMissingData="breaching",
        Dimensions=[{"Name": name, "Value": value} for name, value in ALARM["dimensions"].items()],
        AlarmDescription=ALARM["alarm_description"],
        AlarmActions=ALARM["alarm_actions"],
        Tags=[{"Key": "purpose", "Value": "test"}, {"Key": "stack", "Value": "test"}],
    )
    cloudwatch.put_dashboard(DashboardName="old", DashboardBody=json.dumps(BODY))
    adopt = partial(program, alarm={"name": "old"}, name="old")
    assert summary(stack.up(partial(adopt, imported=("old", "old"))))["import"] == 2
    assert summary(stack.up(adopt)) == {"same": CREATED}


def test_wrong_inputs_are_refused_with_their_names_in_the_preview(stack: InlineStack) -> None:
    with pytest.raises(automation.CommandError, match="expected comparisonOperator to be one of"):
        stack.preview(partial(program, alarm={"comparison_operator": "Below"}))
    with pytest.raises(automation.CommandError, match="one of `statistic` or `extended_statistic` must be set"):
        stack.preview(partial(program, alarm={"statistic": None}))
    with pytest.raises(automation.CommandError, match="has no input 'thresholdMetricId'"):
        stack.preview(partial(program, alarm={"threshold_metric_id": "m"}))
