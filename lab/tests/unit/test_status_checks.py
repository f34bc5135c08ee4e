"""The status checks of instances: who is asked and when a silent guest has failed; the metrics; an alarm's reboot.

The network is replaced. Does not prove that a guest answers ARP, nor that a reset starts it
(lab/tests/machines/test_machines.py).
"""

import json
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any

from typer.testing import CliRunner

from lab import alarms, cli, daemons, settings
from lab.api.client import client
from lab.network import arp, names
from lab.status_checks import StatusChecks, Subject, subjects_of
from lab.tests.network_world import UK, article

GATEWAY = UK.instance_id("gateway")


def test_running_instances_are_asked_on_the_interface_of_their_vpcs_router() -> None:
    subjects = {each.instance_id: each for each in subjects_of(article())}
    assert subjects[GATEWAY] == Subject(
        instance_id=GATEWAY,
        region="eu-west-2",
        namespace=names.vpc_namespace(UK.vpc_id),
        interface=names.tap(UK.eni_id("gateway")),
        router=IPv4Address("10.1.1.1"),
        address=IPv4Address(UK.gateway),
    )
    stopped = replace(article(), instances=tuple(replace(each, state="stopped") for each in article().instances))
    assert list(subjects_of(stopped)) == []


def test_a_silent_guest_fails_unless_it_is_still_booting() -> None:
    answering, now, started = True, 1000.0, {GATEWAY: 1000.0}

    def failed() -> bool:
        return checks.results()["eu-west-2"][GATEWAY]

    checks = StatusChecks(
        answers=lambda subject: answering and subject.instance_id == GATEWAY,
        started_at=lambda instance_id: started.get(instance_id, 0.0),
        clock=lambda: now,
    )
    checks.observe(article())
    answering = False
    assert not failed()
    now += 301
    assert failed()
    answering = True
    assert not failed()
    answering = False
    assert failed()
    # Started again: it boots.
    started[GATEWAY] = now
    assert not failed()
    # Once it has answered after a start, silence is a failure at once.
    answering = True
    assert not failed()
    answering = False
    assert failed()


def test_the_results_are_published_as_ec2s_metrics(api: str) -> None:
    body = json.dumps({"eu-west-2": {"i-1": True, "i-2": False}}).encode()
    request = urllib.request.Request(f"{api}/_lab/status-checks", data=body, method="POST")  # noqa: S310 - our own server
    urllib.request.urlopen(request).close()  # noqa: S310 - the same

    def value(name: str, instance_id: str) -> float:
        now = datetime.now(UTC)
        (datapoint,) = client("cloudwatch", "eu-west-2", api).get_metric_statistics(
            Namespace="AWS/EC2",
            MetricName=name,
            Dimensions=[{"Name": "InstanceId", "Value": instance_id}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=300,
            Statistics=["Maximum"],
        )["Datapoints"]
        return float(datapoint["Maximum"])

    metrics = ("StatusCheckFailed", "StatusCheckFailed_Instance", "StatusCheckFailed_System")
    assert [value(name, "i-1") for name in metrics] == [1.0, 1.0, 0.0]
    assert [value(name, "i-2") for name in metrics] == [0.0, 0.0, 0.0]


def test_a_request_asks_for_the_address_and_only_its_owners_reply_counts() -> None:
    router, target, mac = IPv4Address("10.1.1.1"), IPv4Address("10.1.1.254"), bytes.fromhex("02aabbccddee")
    asked = arp.request(mac, router, target)
    assert asked.hex() == ("ffffffffffff02aabbccddee0806000108000604000102aabbccddee0a0101010000000000000a0101fe")
    assert not arp.is_reply(asked, target)
    reply = bytes.fromhex("02aabbccddee021122334455080600010800060400020211223344550a0101fe02aabbccddee0a010101")
    assert arp.is_reply(reply, target)
    assert not arp.is_reply(reply, IPv4Address("10.1.1.253"))
    assert not arp.is_reply(arp.request(mac, target, router), target)
    assert not arp.is_reply(reply[:30], target)


def test_a_machine_whose_namespace_does_not_exist_does_not_answer() -> None:
    assert not arp.answers("lab-vpc-missing", "tap0", IPv4Address("10.1.1.1"), IPv4Address("10.1.1.254"))


def test_lab_alarms_lists_the_alarms_of_all_regions(api: str, monkeypatch: Any) -> None:
    for region, name in (("eu-west-2", "uk-tunnel"), ("ap-southeast-2", "au-tunnel")):
        cloudwatch = client("cloudwatch", region, api)
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="VpnGatewayPair",
            MetricName="TunnelUp",
            ComparisonOperator="LessThanThreshold",
            Threshold=1.0,
            EvaluationPeriods=1,
            Period=60,
            Statistic="Minimum",
        )
    client("cloudwatch", "eu-west-2", api).set_alarm_state(
        AlarmName="uk-tunnel", StateValue="ALARM", StateReason="no packets"
    )
    monkeypatch.setattr(settings, "API_URL", api)
    monkeypatch.setattr(alarms, "client", lambda service, region: client(service, region, api))
    monkeypatch.setattr(daemons, "api_answers", lambda: True)
    output = CliRunner().invoke(cli.app, ["alarms"]).stdout
    # The API runs in this process, and prints a line for every call.
    lines = [line for line in output.splitlines() if "monitoring:" not in line]
    assert [line.split()[:3] for line in lines] == [
        ["ap-southeast-2", "au-tunnel", "INSUFFICIENT_DATA"],
        ["eu-west-2", "uk-tunnel", "ALARM"],
    ]
    assert lines[1].endswith("no packets")
