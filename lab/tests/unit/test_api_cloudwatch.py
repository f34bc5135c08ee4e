"""CloudWatch's API: who may publish metrics, statistics of them, alarms with their states and actions, dashboards."""

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.api.client import client
from lab.tests.unit.api_stack import Site, as_role, error_code, error_message, lab_path, role_with, uk, wait_for_state

REGION = "eu-west-2"
NAMESPACE = "VpnGatewayPair"
PUBLISH: dict[str, Any] = {
    "Effect": "Allow",
    "Action": "cloudwatch:PutMetricData",
    "Resource": "*",
    "Condition": {"StringEquals": {"cloudwatch:namespace": NAMESPACE}},
}
DATUM: dict[str, Any] = {"MetricName": "TunnelUp", "Value": 1.0, "Dimensions": [{"Name": "Gateway", "Value": "uk"}]}
ALARM: dict[str, Any] = {
    "AlarmName": "vpn-uk-tunnel",
    "Namespace": NAMESPACE,
    "MetricName": "TunnelUp",
    "Dimensions": [{"Name": "Gateway", "Value": "uk"}],
    "ComparisonOperator": "LessThanThreshold",
    "Threshold": 1.0,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Period": 60,
    "Statistic": "Minimum",
    "TreatMissingData": "breaching",
}
ALARM_ARN = f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:vpn-uk-tunnel"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:operators"


@pytest.fixture(scope="module")
def site(api: str) -> Site:
    return uk(api)


@pytest.fixture
def cloudwatch(api: str) -> Any:
    return client("cloudwatch", REGION, api)


@pytest.fixture
def alarm(cloudwatch: Any) -> Any:
    """Create the alarm; give a function that describes it; delete it afterwards."""
    cloudwatch.put_metric_alarm(**ALARM)
    yield lambda: cloudwatch.describe_alarms(AlarmNames=[ALARM["AlarmName"]])["MetricAlarms"][0]
    cloudwatch.delete_alarms(AlarmNames=[ALARM["AlarmName"]])


def curl(api: str, credentials: dict[str, Any], **form: str) -> tuple[int, str]:
    """Send a request of the query protocol that curl signs, as a gateway does; return status and body."""
    binary = shutil.which("curl")
    assert binary, "curl is a prerequisite of the lab"
    fields = {"Version": "2010-08-01", **form}
    lines = [
        f'user = "{credentials["AccessKeyId"]}:{credentials["SecretAccessKey"]}"',
        f'header = "X-Amz-Security-Token: {credentials["SessionToken"]}"',
        f'header = "Host: monitoring.{REGION}.amazonaws.com"',
        *(f'data-urlencode = "{name}={value}"' for name, value in fields.items()),
    ]
    command = [binary, "--silent", "--aws-sigv4", f"aws:amz:{REGION}:monitoring", "--write-out", "%{http_code}"]
    command += ["--config", "-", f"{api}/"]
    text = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True).stdout
    return int(text[-3:]), text[:-3]


def published(cloudwatch: Any, name: str, statistic: str = "Sum") -> list[float]:
    now = datetime.now(UTC)
    answer = cloudwatch.get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=name,
        Dimensions=[{"Name": "Gateway", "Value": "uk"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=2),
        Period=60,
        Statistics=[statistic],
    )
    return [each[statistic] for each in answer["Datapoints"]]


def test_a_gateway_publishes_with_the_query_protocol_and_only_to_its_own_namespace(
    api: str, site: Site, cloudwatch: Any
) -> None:
    credentials = role_with(api, site, "publisher", [PUBLISH])
    form = {
        "Action": "PutMetricData",
        "Namespace": NAMESPACE,
        "MetricData.member.1.MetricName": "FromCurl",
        "MetricData.member.1.Value": "3",
        "MetricData.member.1.Dimensions.member.1.Name": "Gateway",
        "MetricData.member.1.Dimensions.member.1.Value": "uk",
    }
    status, body = curl(api, credentials, **form)
    assert (status, "<PutMetricDataResponse" in body) == (200, True), body
    assert published(cloudwatch, "FromCurl") == [3.0]
    status, body = curl(api, credentials, **{**form, "Namespace": "Other"})
    assert status == 403
    assert "<Code>AccessDenied</Code>" in body
    assert (
        "assumed-role/publisher/i-0 is not authorized to perform: cloudwatch:PutMetricData because no identity-based "
        "policy allows the cloudwatch:PutMetricData action"
    ) in body
    status, body = curl(api, {**credentials, "SecretAccessKey": "forged"}, **form)
    assert (status, "<Code>SignatureDoesNotMatch</Code>" in body) == (403, True), body
    assert published(cloudwatch, "FromCurl") == [3.0]


def test_an_sdk_publishes_with_json_under_the_same_checks(api: str, site: Site, cloudwatch: Any) -> None:
    put = as_role(api, role_with(api, site, "json", [PUBLISH]), "cloudwatch").put_metric_data
    put(Namespace=NAMESPACE, MetricData=[{**DATUM, "MetricName": "FromJson", "Value": 2.0}])
    assert published(cloudwatch, "FromJson") == [2.0]
    assert error_code(put, Namespace="Other", MetricData=[DATUM]) == "AccessDenied"
    assert "not authorized to perform: cloudwatch:PutMetricData" in error_message(
        put, Namespace="Other", MetricData=[DATUM]
    )


def test_publishing_is_bound_to_the_callers_address(api: str, site: Site) -> None:
    bound = {"IpAddress": {"aws:SourceIp": "203.0.113.10/32"}}
    statement = {**PUBLISH, "Condition": {**PUBLISH["Condition"], **bound}}
    put = as_role(api, role_with(api, site, "stolen", [statement]), "cloudwatch").put_metric_data
    assert error_code(put, Namespace=NAMESPACE, MetricData=[DATUM]) == "AccessDenied"


def test_rights_on_alarms_and_dashboards_are_those_on_their_names(api: str, site: Site) -> None:
    own = "arn:aws:cloudwatch:*:*:alarm:vpn-*"
    writes = [f"cloudwatch:{each}" for each in ("PutMetricAlarm", "DeleteAlarms", "TagResource")]
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": writes, "Resource": own},
        {"Effect": "Allow", "Action": "cloudwatch:PutDashboard", "Resource": "arn:aws:cloudwatch::*:dashboard/vpn-*"},
        {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": own},
    ]
    cloudwatch = as_role(api, role_with(api, site, "operator", statements), "cloudwatch")
    cloudwatch.put_metric_alarm(**ALARM)
    cloudwatch.tag_resource(ResourceARN=ALARM_ARN, Tags=[{"Key": "a", "Value": "b"}])
    assert error_code(cloudwatch.put_metric_alarm, **{**ALARM, "AlarmName": "app"}) == "AccessDenied"
    assert error_code(cloudwatch.delete_alarms, AlarmNames=["vpn-uk-tunnel", "app"]) == "AccessDenied"
    # DescribeAlarms requires the right on all alarms.
    assert error_code(cloudwatch.describe_alarms, AlarmNames=["vpn-uk-tunnel"]) == "AccessDenied"
    cloudwatch.put_dashboard(DashboardName="vpn-uk", DashboardBody='{"widgets": []}')
    assert error_code(cloudwatch.put_dashboard, DashboardName="app", DashboardBody='{"widgets": []}') == "AccessDenied"
    reboot = {
        "Dimensions": [{"Name": "InstanceId", "Value": "i-0"}],
        "AlarmActions": [f"arn:aws:automate:{REGION}:ec2:reboot"],
    }
    assert "iam:CreateServiceLinkedRole" in error_message(cloudwatch.put_metric_alarm, **{**ALARM, **reboot})
    cloudwatch.delete_alarms(AlarmNames=["vpn-uk-tunnel"])


def test_publishing_does_not_wake_the_data_plane_but_an_alarm_shows_its_region(api: str, cloudwatch: Any) -> None:
    before = lab_path(api, "/_lab/generation")["generation"]
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=[DATUM])
    assert lab_path(api, "/_lab/generation")["generation"] == before
    cloudwatch.put_metric_alarm(**ALARM)
    assert REGION in lab_path(api, "/_lab/generation")["regions"]
    cloudwatch.delete_alarms(AlarmNames=[ALARM["AlarmName"]])


def test_a_namespace_of_aws_and_an_old_value_are_refused(cloudwatch: Any) -> None:
    assert error_code(cloudwatch.put_metric_data, Namespace="AWS/EC2", MetricData=[DATUM]) == "InvalidParameterValue"
    old = {**DATUM, "Timestamp": datetime.now(UTC) - timedelta(days=15)}
    assert error_code(cloudwatch.put_metric_data, Namespace=NAMESPACE, MetricData=[old]) == "InvalidParameterValue"


def test_statistics_are_of_exactly_the_metrics_dimensions_and_of_aligned_periods(cloudwatch: Any) -> None:
    minute = datetime.fromtimestamp(time.time() // 60 * 60, UTC) - timedelta(minutes=5)
    more = [*DATUM["Dimensions"], {"Name": "Peer", "Value": "au"}]
    data = [
        {**DATUM, "MetricName": "Aligned", "Value": 1.0, "Timestamp": minute + timedelta(seconds=59)},
        {**DATUM, "MetricName": "Aligned", "Value": 2.0, "Timestamp": minute + timedelta(seconds=61)},
        {**DATUM, "MetricName": "Aligned", "Value": 4.0, "Timestamp": minute + timedelta(seconds=62)},
        {**DATUM, "MetricName": "Aligned", "Value": 8.0, "Timestamp": minute, "Dimensions": more},
    ]
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data)
    assert published(cloudwatch, "Aligned") == [1.0, 6.0]
    assert published(cloudwatch, "Aligned", "Average") == [1.0, 3.0]
    metric = {"Namespace": NAMESPACE, "MetricName": "Aligned", "Dimensions": DATUM["Dimensions"]}
    (result,) = cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}],
        StartTime=minute,
        EndTime=minute + timedelta(minutes=3),
    )["MetricDataResults"]
    assert result["Values"] == [4.0, 1.0]
    assert result["Timestamps"] == [minute + timedelta(minutes=1), minute]


def test_a_new_alarm_has_insufficient_data_and_a_change_keeps_its_state_and_tags(cloudwatch: Any, alarm: Any) -> None:
    described = alarm()
    assert (described["StateValue"], described["AlarmArn"]) == ("INSUFFICIENT_DATA", ALARM_ARN)
    assert {key: described[key] for key in ALARM} == ALARM
    cloudwatch.set_alarm_state(AlarmName=ALARM["AlarmName"], StateValue="OK", StateReason="test")
    cloudwatch.tag_resource(ResourceARN=ALARM_ARN, Tags=[{"Key": "a", "Value": "b"}])
    cloudwatch.put_metric_alarm(**{**ALARM, "Threshold": 2.0}, Tags=[{"Key": "a", "Value": "other"}])
    described = alarm()
    assert (described["StateValue"], described["StateReason"], described["Threshold"]) == ("OK", "test", 2.0)
    assert cloudwatch.list_tags_for_resource(ResourceARN=ALARM_ARN)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_deleting_an_alarm_deletes_its_tags_and_a_wrong_name_deletes_nothing(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**ALARM, Tags=[{"Key": "a", "Value": "b"}])
    assert error_code(cloudwatch.delete_alarms, AlarmNames=[ALARM["AlarmName"], "missing"]) == "ResourceNotFound"
    cloudwatch.delete_alarms(AlarmNames=[ALARM["AlarmName"]])
    cloudwatch.put_metric_alarm(**ALARM)
    assert cloudwatch.list_tags_for_resource(ResourceARN=ALARM_ARN)["Tags"] == []
    cloudwatch.delete_alarms(AlarmNames=[ALARM["AlarmName"]])
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"Period": 45},
        {"DatapointsToAlarm": 4},
        {"Period": 600, "EvaluationPeriods": 200},
        {"AlarmActions": ["operators"]},
        {"AlarmActions": [f"arn:aws:automate:{REGION}:ec2:reboot"]},
    ],
)
def test_an_alarm_that_aws_refuses_is_refused(cloudwatch: Any, wrong: dict[str, Any]) -> None:
    assert error_code(cloudwatch.put_metric_alarm, **{**ALARM, **wrong}) == "ValidationError"


def test_a_notification_is_kept_in_the_history_and_only_a_change_of_state_notifies(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(**ALARM, AlarmActions=[TOPIC])
    for _ in range(2):
        cloudwatch.set_alarm_state(AlarmName=ALARM["AlarmName"], StateValue="ALARM", StateReason="down")
    items = cloudwatch.describe_alarm_history(AlarmName=ALARM["AlarmName"], ScanBy="TimestampAscending")
    assert [(each["HistoryItemType"], each["HistorySummary"]) for each in items["AlarmHistoryItems"]] == [
        ("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
        ("Action", f"Successfully executed action {TOPIC}"),
    ]
    state = json.loads(items["AlarmHistoryItems"][0]["HistoryData"])["newState"]
    assert state == {"stateValue": "ALARM", "stateReason": "down"}
    cloudwatch.delete_alarms(AlarmNames=[ALARM["AlarmName"]])


def test_the_reboot_action_reboots_the_instance_and_fails_when_it_does_not_run(
    api: str, site: Site, cloudwatch: Any
) -> None:
    site.build_network()
    site.build_identity()
    instance_id = site.launch()
    wait_for_state(site.ec2, instance_id, "running")
    cloudwatch.put_metric_alarm(
        **{**ALARM, "Dimensions": [{"Name": "InstanceId", "Value": instance_id}]},
        AlarmActions=[f"arn:aws:automate:{REGION}:ec2:reboot"],
        OKActions=[f"arn:aws:automate:{REGION}:ec2:recover"],
    )
    before = lab_path(api, "/_lab/generation")

    def set_state(state: str) -> str:
        cloudwatch.set_alarm_state(AlarmName=ALARM["AlarmName"], StateValue=state, StateReason="test")
        item = cloudwatch.describe_alarm_history(AlarmName=ALARM["AlarmName"])["AlarmHistoryItems"][0]
        return str(item["HistorySummary"]).partition(" action")[0]

    assert set_state("ALARM") == set_state("OK") == "Successfully executed"
    after = lab_path(api, f"/_lab/generation?after={before['generation']}")
    assert after["reboots"][instance_id] == 2
    site.end_instance()
    assert set_state("ALARM") == "Failed to execute"
    cloudwatch.delete_alarms(AlarmNames=[ALARM["AlarmName"]])


def test_dashboards_are_the_accounts_and_their_bodies_have_widgets(api: str, cloudwatch: Any) -> None:
    cloudwatch.put_dashboard(DashboardName="vpn", DashboardBody='{"widgets": []}')
    other = client("cloudwatch", "ap-southeast-2", api)
    answer = other.get_dashboard(DashboardName="vpn")
    assert answer["DashboardArn"] == "arn:aws:cloudwatch::123456789012:dashboard/vpn"
    assert answer["DashboardBody"] == '{"widgets": []}'
    for body in ("{", "[]", "{}"):
        assert error_code(cloudwatch.put_dashboard, DashboardName="vpn", DashboardBody=body) == "InvalidParameterInput"
    other.delete_dashboards(DashboardNames=["vpn"])
    assert error_code(cloudwatch.get_dashboard, DashboardName="vpn") == "ResourceNotFound"
    assert error_code(cloudwatch.delete_dashboards, DashboardNames=["vpn"]) == "ResourceNotFound"
