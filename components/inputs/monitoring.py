"""Reads how a gateway is watched by CloudWatch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi

from ..decisions.arn import region_of
from ..decisions.monitoring import MetricSet
from .arguments import SecretDelivery
from .reader import Reader

_TOPIC: Final = r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?"


@dataclass(frozen=True, kw_only=True)
class MonitoringSettings:
    """How one gateway is watched."""

    metrics: MetricSet
    alarm_topic_arns: tuple[pulumi.Input[str], ...]
    """SNS topics that every alarm notifies."""
    dashboard: bool
    """Whether to create a dashboard of this gateway alone."""


def read_monitoring(
    reader: Reader, known: frozenset[str], topics: Mapping[str, str | None]
) -> dict[str, MonitoringSettings] | None:
    """Return the settings of each gateway, None without `monitoring`.

    `topics` is the argument that has the gateway's topics -> the gateway's region, if it is known.
    """
    if reader.value("monitoring") is None:
        return None
    inner = reader.nested("monitoring", known)
    metrics = inner.choice("metrics", MetricSet, default=MetricSet.BASIC)
    dashboard = inner.flag("dashboard", default=True)
    return {
        key: MonitoringSettings(metrics=metrics, alarm_topic_arns=_topics(inner, key, region), dashboard=dashboard)
        for key, region in topics.items()
    }


def check_monitoring(reader: Reader, delivery: SecretDelivery, *, login: bool, remedy: str) -> None:
    """Check that a gateway can publish: it has a role, and something can log in to bring it the program."""
    if reader.value("monitoring") is None:
        return
    if delivery is SecretDelivery.USER_DATA:
        rule = "needs the role of `secret_delivery` ssm, which publishes the metrics"
        reader.report(reader.setting("monitoring"), "…", rule, "use secret_delivery ssm, or leave it out")
    if not login:
        rule = "needs a login, because the program that publishes has no room in the user data"
        reader.report(reader.setting("monitoring"), "…", rule, f"{remedy}, or leave it out")


def _topics(reader: Reader, key: str, region: str | None) -> tuple[pulumi.Input[str], ...]:
    topics = reader.texts_or_outputs(
        key, pattern=_TOPIC, rule="is not the ARN of an SNS topic", remedy="use arn:aws:sns:REGION:ACCOUNT:NAME"
    )
    for topic in topics:
        if isinstance(topic, str) and region is not None and region_of(topic) != region:
            rule = f"is not in {region}, and an alarm can notify only topics in its region"
            reader.report(reader.setting(key), topic, rule, "give a topic of that region")
    return topics
