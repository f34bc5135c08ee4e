"""EC2's status check metrics, from the results that the data plane reports.

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_metrics_with_cloudwatch.html
"""

from collections.abc import Mapping
from typing import Any, Final

from moto.cloudwatch.models import cloudwatch_backends

from lab import settings
from lab.api.state import LOCK

_NAMESPACE: Final = "AWS/EC2"
_SYSTEM_FAILED: Final = 0.0
"""The lab's host never fails."""


def publish(results: Mapping[str, Mapping[str, bool]]) -> None:
    """Publish the metrics of each instance; `results` say by region and instance whether its check failed."""
    with LOCK:
        for region, instances in results.items():
            data = [datum for instance_id, failed in instances.items() for datum in _data(instance_id, float(failed))]
            cloudwatch_backends[settings.ACCOUNT_ID][region].put_metric_data(_NAMESPACE, data)


def _data(instance_id: str, failed: float) -> list[dict[str, Any]]:
    metrics = {
        "StatusCheckFailed": max(failed, _SYSTEM_FAILED),
        "StatusCheckFailed_Instance": failed,
        "StatusCheckFailed_System": _SYSTEM_FAILED,
    }
    dimensions = [{"Name": "InstanceId", "Value": instance_id}]
    return [
        {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": "Count"}
        for name, value in metrics.items()
    ]
