"""Calls PutMetricData of CloudWatch, signed with the instance's role. No credential is in an argument or printed."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from metadata import ask
from vpn_metrics.data import Datum
from vpn_metrics.settings import Settings

MOST = 1000
"""Data that one call takes (CloudWatch API reference, PutMetricData)."""

_ROLE = "meta-data/iam/security-credentials/"


def publish(settings: Settings, data: Sequence[Datum]) -> None:
    """Publish the data; raises OSError, ValueError or KeyError with the reason."""
    for start in range(0, len(data), MOST):
        _call(curl_config(settings, form(settings, data[start : start + MOST]), _credentials()))


def form(settings: Settings, data: Sequence[Datum]) -> str:
    """Return the parameters of the call, as the query protocol has them."""
    values: dict[str, str] = {
        "Action": "PutMetricData",
        "Version": "2010-08-01",
        "Namespace": settings.namespace,
    }
    for number, datum in enumerate(data, 1):
        member = f"MetricData.member.{number}"
        values |= {
            f"{member}.MetricName": datum.metric,
            f"{member}.Value": f"{datum.value:.6g}" if datum.value < 1e6 else f"{datum.value:.0f}",
            f"{member}.Unit": datum.unit,
        }
        dimensions = {**settings.dimensions, **({"Tunnel": datum.tunnel} if datum.tunnel else {})}
        for place, (name, value) in enumerate(dimensions.items(), 1):
            dimension = f"{member}.Dimensions.member.{place}"
            values |= {f"{dimension}.Name": name, f"{dimension}.Value": value}
    return urlencode(values)


def curl_config(settings: Settings, body: str, credentials: Mapping[str, Any]) -> str:
    """Return curl's config file (curl(1), --config) for a signed call."""
    options = {
        "url": f"https://{settings.endpoint}/",
        "aws-sigv4": f"aws:amz:{settings.region}:monitoring",
        "user": f"{credentials['AccessKeyId']}:{credentials['SecretAccessKey']}",
        "header": f"X-Amz-Security-Token: {credentials['Token']}",
        "data": body,
        "max-time": "15",
    }
    # curl's config file has the same escapes as JSON.
    lines = [f"{option} = {json.dumps(value)}" for option, value in options.items()]
    return "\n".join(["silent", "show-error", "fail-with-body", *lines, ""])


def _credentials() -> Mapping[str, Any]:
    token = _metadata("api/token")
    credentials: Mapping[str, Any] = json.loads(_metadata(_ROLE + _metadata(_ROLE, token).strip(), token))
    return credentials


def _metadata(path: str, token: str = "") -> str:
    head, body = ask(path, token, 5)
    if head[9:12] != "200":
        raise OSError(f"metadata service: {head[:40]!r} for {path}")
    return body


def _call(config: str) -> None:
    curl = subprocess.run(["curl", "--config", "-"], input=config, capture_output=True, text=True, check=False)
    if curl.returncode:
        told = re.findall(r"<(Code|Message)>(.*?)</", curl.stdout)
        raise OSError(f"PutMetricData: {': '.join(text for _, text in told) or curl.stderr.strip()}")
