"""The states of alarms: AWS's own examples for missing data, the words of the reasons, and the evaluation over time."""

from typing import Any

import pytest

from lab.api.client import client
from lab.api.evaluation import Conditions, decide

NOW = 1_800_000_000.0
"""The begin of a minute, 2027-01-15 08:00:00 UTC."""

THREE = Conditions(
    comparison="LessThanThreshold", threshold=1.0, period=60, evaluation_periods=3, datapoints_to_alarm=3
)
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")


def values(pattern: str, now: float = NOW) -> dict[float, float]:
    """Return the values of the last periods: `0` is good, `X` breaches, `-` is missing; the newest is at the end."""
    symbols = pattern.split()
    begins = [now - 60 * (len(symbols) - number) for number in range(len(symbols))]
    return {begin: float(symbol == "0") for begin, symbol in zip(begins, symbols, strict=True) if symbol != "-"}


def states(pattern: str, datapoints_to_alarm: int) -> list[str | None]:
    """Return the state for each treatment of missing data; None where the state remains."""
    decisions = [
        decide(
            values(pattern),
            Conditions(
                comparison="LessThanThreshold",
                threshold=1.0,
                period=60,
                evaluation_periods=3,
                datapoints_to_alarm=datapoints_to_alarm,
                missing=treatment,
            ),
            NOW,
        )
        for treatment in TREATMENTS
    ]
    return [decision.state if decision else None for decision in decisions]


# The two tables of the CloudWatch user guide, "How alarm state is evaluated when data is missing".
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("0 - X - X", ["OK"] * 4),
        ("- - - - 0", ["OK"] * 4),
        ("- - - - -", ["INSUFFICIENT_DATA", None, "ALARM", "OK"]),
        ("0 X X - X", ["ALARM"] * 4),
        ("- - X - -", ["ALARM", None, "ALARM", "OK"]),
    ],
)
def test_three_of_three_datapoints_follow_the_table_of_aws(pattern: str, expected: list[str | None]) -> None:
    assert states(pattern, 3) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("0 - X - X", ["ALARM"] * 4),
        ("0 0 X 0 X", ["ALARM"] * 4),
        ("0 - X - -", ["OK", "OK", "ALARM", "OK"]),
        ("- - - - 0", ["OK", "OK", "ALARM", "OK"]),
        ("- - - X -", ["ALARM", None, "ALARM", "OK"]),
    ],
)
def test_two_of_three_datapoints_follow_the_table_of_aws(pattern: str, expected: list[str | None]) -> None:
    assert states(pattern, 2) == expected


def test_one_late_breaching_datapoint_is_no_alarm_yet() -> None:
    assert states("- - - - X", 3) == [None, None, "ALARM", "OK"]


def test_only_periods_that_have_ended_count() -> None:
    good = {**values("0 0 0"), NOW: 0.0}
    for now in (NOW, NOW + 59):
        decision = decide(good, THREE, now)
        assert decision is not None
        assert decision.state == "OK"
    one = Conditions(
        comparison="LessThanThreshold", threshold=1.0, period=60, evaluation_periods=1, datapoints_to_alarm=1
    )
    decision = decide(good, one, NOW + 60)
    assert decision is not None
    assert decision.state == "ALARM"


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("GreaterThanOrEqualToThreshold", [False, True, True]),
        ("GreaterThanThreshold", [False, False, True]),
        ("LessThanThreshold", [True, False, False]),
        ("LessThanOrEqualToThreshold", [True, True, False]),
    ],
)
def test_a_value_is_the_first_operand_of_the_comparison(comparison: str, expected: list[bool]) -> None:
    conditions = Conditions(
        comparison=comparison, threshold=2.0, period=60, evaluation_periods=1, datapoints_to_alarm=1
    )
    assert [conditions.breaches(value) for value in (1.0, 2.0, 3.0)] == expected


@pytest.mark.parametrize(
    ("pattern", "missing", "reason"),
    [
        (
            "X X X",
            "missing",
            "Threshold Crossed: 3 out of the last 3 datapoints [0.0 (15/01/27 07:59:00), 0.0 (15/01/27 07:58:00), "
            "0.0 (15/01/27 07:57:00)] were less than the threshold (1.0) (minimum 3 datapoints for OK -> ALARM "
            "transition).",
        ),
        (
            "X X 0",
            "missing",
            "Threshold Crossed: 1 out of the last 3 datapoints [1.0 (15/01/27 07:59:00)] was not less than the "
            "threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        (
            "- - -",
            "breaching",
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints were treated as "
            "[Breaching].",
        ),
        (
            "- - 0",
            "notBreaching",
            "Threshold Crossed: 1 out of the last 3 datapoints [1.0 (15/01/27 07:59:00)] was not less than the "
            "threshold (1.0) and 2 missing datapoints were treated as [NonBreaching].",
        ),
        ("- - -", "missing", "Insufficient Data: 3 datapoints were unknown."),
    ],
)
def test_the_reason_names_the_datapoints_in_the_words_of_aws(pattern: str, missing: str, reason: str) -> None:
    conditions = Conditions(
        comparison="LessThanThreshold",
        threshold=1.0,
        period=60,
        evaluation_periods=3,
        datapoints_to_alarm=3,
        missing=missing,
    )
    decision = decide(values(pattern), conditions, NOW)
    assert decision is not None
    assert decision.reason == reason


def test_an_alarm_follows_its_metric_and_acts_once_for_each_change(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.api import alarm_actions, alarms, evaluator, metrics  # noqa: PLC0415 - moto takes a second to import

    cloudwatch = client("cloudwatch", "eu-west-2", api)
    dimensions = [{"Name": "Gateway", "Value": "uk"}]
    topic = "arn:aws:sns:eu-west-2:123456789012:operators"
    metric: dict[str, Any] = {"Namespace": "VpnGatewayPair", "MetricName": "TunnelUp", "Dimensions": dimensions}
    for module in (alarm_actions, alarms, metrics):
        monkeypatch.setattr(module, "utcnow", lambda: metrics._moment(NOW))
    cloudwatch.put_metric_alarm(
        AlarmName="tunnel",
        **metric,
        ComparisonOperator="LessThanThreshold",
        Threshold=1.0,
        EvaluationPeriods=2,
        DatapointsToAlarm=2,
        Period=60,
        Statistic="Minimum",
        TreatMissingData="breaching",
        AlarmActions=[topic],
        OKActions=[topic],
    )
    seen = []
    for number, value in enumerate([1.0, 1.0, 0.0, 0.0, 0.0, 1.0, None, None, None, None, None]):
        begin = NOW + 60 * number
        if value is not None:
            datum = {"MetricName": "TunnelUp", "Dimensions": dimensions, "Value": value, "Timestamp": begin + 20}
            cloudwatch.put_metric_data(Namespace=metric["Namespace"], MetricData=[datum])
        # A period is evaluated ten seconds after its end, and only once.
        for late in (69, 75, 85):
            evaluator.evaluate_all(begin + late)
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["tunnel"])["MetricAlarms"]
        seen.append(alarm["StateValue"])
    # The last real datapoints count until too few are left of the four periods that are looked at.
    assert seen == ["OK", "OK", "OK", "ALARM", "ALARM", "OK", "OK", "OK", "OK", "ALARM", "ALARM"]
    items = cloudwatch.describe_alarm_history(AlarmName="tunnel", HistoryItemType="Action")["AlarmHistoryItems"]
    # The first is that of a new alarm, whose metric has no data yet.
    assert [each["HistorySummary"] for each in items] == [f"Successfully executed action {topic}"] * 5
    cloudwatch.delete_alarms(AlarmNames=["tunnel"])
