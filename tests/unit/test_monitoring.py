"""Monitoring: the alarms, the dashboard, the role's right, and what the gateways are brought.

Does not prove that CloudWatch takes it (tests/engine/test_changes.py) or that metrics arrive
(tests/scenarios/test_monitoring.py).
"""

import gzip
import json
from base64 import b64decode
from typing import Any

import pulumi
import pytest

from components import SettingsError, VpnGateway
from components.decisions.monitoring import NAMESPACE
from components.resources.configuration import NEXT
from components.resources.remote_commands import installed_files
from components.user_data import proof_files
from tests.generated import ROOT, section
from tests.unit.recording import HOST_KEY, PSK, Deployment, Recorder, deploy_pair, public_key_of
from vpn_metrics.data import Counters, Sa, of_gateway, of_tunnel

TOPIC = "arn:aws:sns:eu-west-2:123456789012:pager"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
ON: dict[str, Any] = {"metrics": "basic"}


def _alarm(recorder: Recorder, name: str) -> dict[str, Any]:
    return recorder.named(name).inputs


def _delivered(recorder: Recorder, side: str) -> dict[str, str]:
    """Return path -> text of the files that a running gateway is to have."""
    coming = {file.path: file.text for file in installed_files(recorder.named(f"vpn-{side}-prepare").inputs["stdin"])}
    return {each["path"]: each["text"] for each in json.loads(coming[NEXT])["files"]}


def test_without_monitoring_nothing_is_published_or_watched(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = deploy_pair(deployment, article)
    assert [*recorder.of_type(ALARM), *recorder.of_type(DASHBOARD)] == []
    assert "cloudwatch" not in recorder.named("vpn-uk-role-policy").inputs["policy"]
    assert "/etc/vpn-gateway/metrics.json" not in _delivered(recorder, "uk")


def test_each_gateway_of_a_pair_has_its_alarms_with_the_provider_of_its_side(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, article, monitoring={"left_alarm_topic_arns": [TOPIC]})
    assert {each.name: each.provider for each in recorder.of_type(ALARM)} == {
        f"vpn-{side}-{alarm}": f"vpn-{side}-aws"
        for side, peer in (("uk", "au"), ("au", "uk"))
        for alarm in (
            f"tunnel-{peer}-down",
            "plaintext-dropped",
            "connections-nearly-full",
            "gateway-fault",
            "system-check-failed",
            "instance-check-failed",
        )
    }
    assert _alarm(recorder, "vpn-uk-tunnel-au-down") == {
        "namespace": NAMESPACE,
        "metricName": "TunnelUp",
        "dimensions": {
            "Gateway": "uk-gateway",
            "NetworkInterfaceId": "vpn-uk-gateway-interface-id",
            "Tunnel": "uk-to-au",
        },
        "statistic": "Maximum",
        "period": 60,
        "evaluationPeriods": 1,
        "comparisonOperator": "LessThanThreshold",
        "threshold": 1,
        "treatMissingData": "breaching",
        "alarmDescription": "uk-gateway: no echo crosses the tunnel uk-to-au. First: ssh -i KEY admin@"
        f"{recorder.outputs['vpn']['left']['public_ip']} sudo vpn-verify",
        "alarmActions": [TOPIC],
        "okActions": [TOPIC],
        "tags": {"owner": "network", "Name": "uk-tunnel-au-down"},
    }
    assert _alarm(recorder, "vpn-au-tunnel-uk-down")["alarmActions"] == []
    plaintext = _alarm(recorder, "vpn-uk-plaintext-dropped")
    assert (plaintext["statistic"], plaintext["comparisonOperator"], plaintext["threshold"]) == (
        "Sum",
        "GreaterThanThreshold",
        0,
    )
    assert plaintext["treatMissingData"] == "notBreaching"
    assert _alarm(recorder, "vpn-au-gateway-fault") == {
        "namespace": NAMESPACE,
        "metricName": "LayersFailed",
        "dimensions": {"Gateway": "au-gateway", "NetworkInterfaceId": "vpn-au-gateway-interface-id"},
        "statistic": "Maximum",
        "period": 60,
        "evaluationPeriods": 1,
        "comparisonOperator": "GreaterThanThreshold",
        "threshold": 0,
        "treatMissingData": "notBreaching",
        "alarmDescription": "au-gateway: its own packet filter, NAT, table of connections, kernel keys, secrets, IPsec "
        "daemon or files are not in order. First: ssh -i KEY "
        f"admin@{recorder.outputs['vpn']['right']['public_ip']} sudo vpn-verify",
        "alarmActions": [],
        "okActions": [],
        "tags": {"owner": "network", "Name": "au-gateway-fault"},
    }


@pytest.mark.parametrize(("monitoring", "timeout", "waits"), [(ON, 60, 150), (ON, 200, 200), (None, 60, 60)])
def test_the_proof_has_time_for_the_first_minute_of_metrics(
    deployment: Deployment, article: dict[str, Any], monitoring: Any, timeout: int, waits: int
) -> None:
    more = {"monitoring": monitoring} if monitoring is not None else {}
    recorder = deploy_pair(deployment, article, verify_timeout_seconds=timeout, **more)
    assert f"vpn-verify --json --wait {waits} --revision" in recorder.named("vpn-verify-uk").inputs["create"]


def test_no_alarm_exists_before_the_tunnel_is_proved(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = deploy_pair(deployment, article, monitoring=ON)
    assert len(recorder.of_type(ALARM)) == 12
    for alarm in recorder.of_type(ALARM):
        assert {"vpn-verify-uk", "vpn-verify-au", "vpn-ping-uk", "vpn-ping-au"} <= alarm.depends_on, alarm.name


@pytest.mark.parametrize(
    ("alarm", "expected"),
    [
        ("system-check-failed", ("StatusCheckFailed_System", 2, "recover")),
        ("instance-check-failed", ("StatusCheckFailed_Instance", 3, "reboot")),
    ],
)
def test_ec2_moves_or_restarts_the_instance_by_itself(
    deployment: Deployment, article: dict[str, Any], alarm: str, expected: tuple[str, int, str]
) -> None:
    metric, periods, action = expected
    recorder = deploy_pair(deployment, article, monitoring={"left_alarm_topic_arns": [TOPIC]})
    inputs = _alarm(recorder, f"vpn-uk-{alarm}")
    assert (inputs["namespace"], inputs["metricName"], inputs["evaluationPeriods"]) == ("AWS/EC2", metric, periods)
    assert inputs["dimensions"] == {"InstanceId": "vpn-uk-gateway-id"}
    assert inputs["alarmActions"] == [TOPIC, f"arn:aws:automate:xx-test-1:ec2:{action}"]
    assert inputs["okActions"] == [TOPIC]


def test_the_role_may_publish_to_this_namespace_only_and_only_from_the_gateways_place(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, article, monitoring=ON)
    policy = json.loads(recorder.named("vpn-uk-role-policy").inputs["policy"])
    reads = [each for each in policy["Statement"] if each["Action"] == "ssm:GetParameter"]
    publishes = [each for each in policy["Statement"] if each["Action"] == "cloudwatch:PutMetricData"]
    assert len(reads) + len(publishes) == len(policy["Statement"])
    for read, publish in zip(reads, publishes, strict=True):
        assert publish["Resource"] == "*"
        condition = {operator: {**tests} for operator, tests in publish["Condition"].items()}
        assert condition["StringEquals"].pop("cloudwatch:namespace") == NAMESPACE
        assert {operator: tests for operator, tests in condition.items() if tests} == read["Condition"]


def test_the_gateways_are_brought_the_program_and_where_it_publishes(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, article, monitoring={"metrics": "detailed"})
    files = _delivered(recorder, "au")
    assert "/usr/local/lib/vpn-metrics/vpn_metrics/__main__.py" in files
    assert "/usr/local/lib/vpn-metrics/icmp.py" in files
    assert "/etc/systemd/system/vpn-metrics.service" in files
    assert json.loads(files["/etc/vpn-gateway/metrics.json"]) == {
        "region": "xx-test-1",
        "endpoint": "monitoring.xx-test-1.amazonaws.com",
        "namespace": NAMESPACE,
        "dimensions": {"Gateway": "au-gateway", "NetworkInterfaceId": "vpn-au-gateway-interface-id"},
        "detailed": True,
    }
    user_data = gzip.decompress(b64decode(recorder.named("vpn-au-gateway").inputs["userDataBase64"])).decode()
    assert "vpn-metrics" not in user_data


def test_the_dashboard_has_a_column_for_each_side_and_every_metric_that_is_published(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, article, monitoring=ON)
    (dashboard,) = recorder.of_type(DASHBOARD)
    assert (dashboard.name, dashboard.provider) == ("vpn-dashboard", "vpn-uk-aws")
    assert dashboard.inputs["dashboardName"] == "vpn-dashboard-vpn-gateway-pair-test"
    widgets = json.loads(dashboard.inputs["dashboardBody"])["widgets"]
    assert {(each["x"], each["width"]) for each in widgets} == {(0, 12), (12, 12)}
    spans = [(each["x"], each["y"], each["y"] + each["height"]) for each in widgets]
    assert not [(one, other) for one in spans for other in spans if one[0] == other[0] and one[1] < other[1] < one[2]]
    shown = {(metric[0], metric[1]) for each in widgets for metric in each["properties"]["metrics"]}
    assert shown == {
        *((NAMESPACE, name) for name in ("TunnelUp", "RoundTripTime", "LostEchoes")),
        *((NAMESPACE, name) for name in ("PlaintextDropped", "ConnectionsTracked", "LayersFailed")),
        *(("AWS/EC2", name) for name in ("NetworkIn", "NetworkOut", "StatusCheckFailed", "CPUCreditBalance")),
    }


def test_no_dashboard_is_created_if_none_is_wanted(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = deploy_pair(deployment, article, monitoring={"dashboard": False})
    assert (len(recorder.of_type(ALARM)), recorder.of_type(DASHBOARD)) == (12, [])


def test_the_documents_have_every_metric_and_alarm_and_the_price_of_what_is_created(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, article, monitoring=ON)
    names = {each.name.removeprefix("vpn-uk-").replace("-au-", "-PEER-") for each in recorder.of_type(ALARM)}
    names = {name for name in names if not name.startswith("vpn-")}
    down = Counters(plaintext_dropped=0, connections=0, most_connections=1, sas={"uk-to-au": {"#2": Sa(1, 1, 1)}})
    per_gateway = {
        detailed: {
            each.metric
            for each in (*of_tunnel("uk-to-au", [0.1], down, down, detailed=detailed), *of_gateway(down, down, 0))
        }
        for detailed in (False, True)
    }
    page = (ROOT / "docs/monitoring.md").read_text()
    assert [name for name in {*names, *per_gateway[True]} if f"`{name}`" not in page] == []
    alarms, calls = 0.10 * len(recorder.of_type(ALARM)), 0.01 * 2 * 60 * 730 / 1000
    metrics = {detailed: 0.30 * 2 * len(found) for detailed, found in per_gateway.items()}
    basic, detailed = (each + alarms + 3 + calls for each in metrics.values())
    assert f"| **a pair** | **{basic:.2f}** | **{detailed:.2f}** |" in section("docs/cost.md", "monitoring")


def _gateway(deployment: Deployment, **changes: Any) -> Recorder:
    args: Any = {
        "name": "uk",
        "cidr_block": "10.1.0.0/16",
        "peers": [
            {"name": name, "public_ip": ip, "private_ip": private, "cidr_blocks": [block]}
            for name, ip, private, block in (
                ("au", "192.0.2.1", "10.2.1.254", "10.2.0.0/16"),
                ("us", "192.0.2.2", "10.3.1.254", "10.3.0.0/16"),
            )
        ],
        "psk": PSK,
        "ssh_public_key": public_key_of("ssh"),
        "ssh_private_key": pulumi.Output.secret(HOST_KEY),
        "administrator_cidr_blocks": ["192.0.2.10/32"],
        **changes,
    }
    return deployment.run(lambda: VpnGateway("hub", args))


def test_a_single_gateway_has_an_alarm_for_each_peer_and_a_dashboard_of_its_own(deployment: Deployment) -> None:
    recorder = _gateway(deployment, monitoring={"alarm_topic_arns": [pulumi.Output.from_input(TOPIC)]})
    tunnels = [each.inputs["dimensions"]["Tunnel"] for each in recorder.of_type(ALARM) if "tunnel" in each.name]
    assert sorted(tunnels) == ["uk-to-au", "uk-to-us"]
    assert {topic for each in recorder.of_type(ALARM) for topic in each.inputs["okActions"]} == {TOPIC}
    assert all("hub-configure" in each.depends_on for each in recorder.of_type(ALARM))
    (dashboard,) = recorder.of_type(DASHBOARD)
    assert {each["width"] for each in json.loads(dashboard.inputs["dashboardBody"])["widgets"]} == {24}


def _brought(recorder: Recorder) -> set[str]:
    """Return the paths of all files that the commands of a single gateway install."""
    commands = recorder.of_type("command:remote:Command")
    sent = [each.inputs["stdin"] for each in commands if "stdin" in each.inputs]
    return {file.path for program in sent for file in installed_files(program)}


@pytest.mark.parametrize(
    ("peers", "alarms"),
    [
        ({}, {"tunnel-au-down", "tunnel-us-down", "plaintext-dropped"}),
        ({"peers": [], "psk": None}, set[str]()),
    ],
    ids=["hub", "NAT alone"],
)
def test_a_single_gateway_has_vpn_verify_and_the_alarm_of_the_layers_that_it_counts(
    deployment: Deployment, peers: dict[str, Any], alarms: set[str]
) -> None:
    recorder = _gateway(deployment, monitoring=ON, **peers)
    assert {file.path for file in proof_files()} <= _brought(recorder)
    own = {"connections-nearly-full", "gateway-fault", "system-check-failed", "instance-check-failed"}
    assert {each.name for each in recorder.of_type(ALARM)} == {f"hub-{each}" for each in own | alarms}
    assert _alarm(recorder, "hub-gateway-fault")["dimensions"] == {
        "Gateway": "uk-gateway",
        "NetworkInterfaceId": "hub-gateway-interface-id",
    }


def test_a_peer_whose_address_is_unknown_has_an_alarm_of_its_sas_and_no_echoes_on_the_dashboard(
    deployment: Deployment,
) -> None:
    router = {"name": "office", "public_ip": "192.0.2.7", "cidr_blocks": ["192.168.7.0/24"]}
    other = {"name": "au", "public_ip": "192.0.2.1", "private_ip": "10.2.1.254", "cidr_blocks": ["10.2.0.0/16"]}

    def shown(recorder: Recorder) -> dict[str, set[str]]:
        """Return metric -> tunnels on the dashboard."""
        (dashboard,) = recorder.of_type(DASHBOARD)
        found: dict[str, set[str]] = {}
        for each in json.loads(dashboard.inputs["dashboardBody"])["widgets"]:
            assert each["properties"]["metrics"], each["properties"]["title"]
            for metric in each["properties"]["metrics"]:
                if "Tunnel" in metric:
                    found.setdefault(metric[1], set()).add(metric[metric.index("Tunnel") + 1])
        return found

    recorder = _gateway(deployment, peers=[router, other], monitoring=ON)
    assert shown(recorder) == {
        "TunnelUp": {"uk-to-office", "uk-to-au"},
        "RoundTripTime": {"uk-to-au"},
        "LostEchoes": {"uk-to-au"},
    }
    alarm = _alarm(recorder, "hub-tunnel-office-down")
    assert alarm["metricName"] == "TunnelUp"
    assert alarm["alarmDescription"].startswith("uk-gateway: the tunnel uk-to-office has no SA. First: ")
    assert shown(_gateway(Deployment(), peers=[router], monitoring=ON)) == {"TunnelUp": {"uk-to-office"}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"monitoring": ON, "verify": False}, "monitoring '…': needs a login"),
        (
            {"monitoring": ON, "secret_delivery": "user-data"},
            "monitoring '…': needs the role of `secret_delivery` ssm",
        ),
        ({"monitoring": {"metrics": "all"}}, "monitoring.metrics 'all': is unknown"),
        ({"monitoring": {"right_alarm_topic_arns": [TOPIC]}}, "is not in ap-southeast-2"),
        ({"monitoring": {"left_alarm_topic_arns": ["pager"]}}, "is not the ARN of an SNS topic"),
        ({"monitoring": {"alarms": True}}, "monitoring.alarms '…': is not a known setting"),
        ({"monitoring": True}, "monitoring 'True': is not a mapping of settings"),
    ],
)
def test_what_cannot_be_monitored_is_refused(
    deployment: Deployment, article: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        deploy_pair(deployment, article, **changes)
    assert words in str(refused.value)


def test_a_gateway_that_nothing_can_log_in_to_is_not_monitored(deployment: Deployment) -> None:
    with pytest.raises(SettingsError, match="needs a login") as refused:
        _gateway(deployment, ssh_private_key=None, monitoring=ON)
    assert "give `ssh_private_key`, or leave it out" in str(refused.value)
