"""What a gateway publishes to CloudWatch, which alarms watch it, and what a dashboard shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

NAMESPACE: Final = "VpnGatewayPair"
"""Namespace of the metrics. The role of a gateway can publish to no other."""

_MINUTE: Final = 60


class MetricSet(Enum):
    """Which metrics a gateway publishes. CloudWatch charges for each."""

    BASIC = "basic"
    """Of each tunnel `TunnelUp`, and with the peer's private address `RoundTripTime` and `LostEchoes`; of the gateway
    `PlaintextDropped`, `ConnectionsTracked` and `LayersFailed`.
    """
    DETAILED = "detailed"
    """Those, and of each tunnel `BytesIn`, `BytesOut` and `SaAge`."""


class Action(Enum):
    """What EC2 does with the instance of an alarm, by itself (EC2 user guide, "Add actions to CloudWatch alarms")."""

    RECOVER = "recover"
    """Move the instance to other hardware."""
    REBOOT = "reboot"


@dataclass(frozen=True, kw_only=True)
class Tunnel:
    """A tunnel of a gateway."""

    peer: str
    """Name of the peer."""
    connection: str
    has_echoes: bool
    """Whether the peer's private address is known. Otherwise `TunnelUp` depends on SAs, and there is no round trip."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm of a gateway. Its periods have one minute."""

    name: str
    """A part of its name, e.g. `tunnel-au-down`."""
    metric: str
    tunnel: str = ""
    """Connection; empty: the metric is one of the gateway, or of its instance."""
    statistic: str
    comparison: str
    threshold: float
    periods: int
    missing: str
    """What a period without data counts as."""
    action: Action | None = None
    """For one of EC2's status checks, what EC2 does."""
    description: str

    @property
    def of_instance(self) -> bool:
        """Whether the metric is EC2's own, of the instance, in the namespace `AWS/EC2`."""
        return self.action is not None


def gateway_dimensions(gateway: str, interface_id: str) -> dict[str, str]:
    """Return the dimensions of a gateway's metrics. The interface distinguishes gateways of the same name."""
    return {"Gateway": gateway, "NetworkInterfaceId": interface_id}


def alarms(gateway: str, tunnels: Sequence[Tunnel]) -> tuple[Alarm, ...]:
    """Return the alarms of a gateway.

    An alarm of a tunnel needs half a minute without an answer at the end of a minute, or no SA there.
    """
    return (
        *(
            Alarm(
                name=f"tunnel-{tunnel.peer}-down",
                metric="TunnelUp",
                tunnel=tunnel.connection,
                statistic="Maximum",
                comparison="LessThanThreshold",
                threshold=1,
                periods=1,
                # A gateway that publishes nothing is down itself.
                missing="breaching",
                description=f"{gateway}: no echo crosses the tunnel {tunnel.connection}."
                if tunnel.has_echoes
                else f"{gateway}: the tunnel {tunnel.connection} has no SA.",
            )
            for tunnel in tunnels
        ),
        *(
            (
                Alarm(
                    name="plaintext-dropped",
                    metric="PlaintextDropped",
                    statistic="Sum",
                    comparison="GreaterThanThreshold",
                    threshold=0,
                    periods=1,
                    missing="notBreaching",
                    description=f"{gateway}: dropped packets between the networks that had no IPsec.",
                ),
            )
            if tunnels
            else ()
        ),
        Alarm(
            name="connections-nearly-full",
            metric="ConnectionsTracked",
            statistic="Maximum",
            comparison="GreaterThanThreshold",
            threshold=80,
            periods=2,
            # A gateway with tunnels tells by their alarms that it publishes nothing.
            missing="notBreaching" if tunnels else "breaching",
            description=f"{gateway}: more than 80 % of NAT's table of connections is used, or nothing is published. "
            "Use a larger instance_type.",
        ),
        Alarm(
            name="gateway-fault",
            metric="LayersFailed",
            statistic="Maximum",
            comparison="GreaterThanThreshold",
            threshold=0,
            # A second one would take longer than three minutes from the fault. vpn-metrics leaves out what passes.
            periods=1,
            # The other alarms tell of a gateway that publishes nothing, and while it is changed it has no such metric.
            missing="notBreaching",
            description=f"{gateway}: its own packet filter, NAT, table of connections, kernel keys, secrets, IPsec "
            "daemon or files are not in order.",
        ),
        # Two periods and three, so that a recovery and a restart do not cross (EC2 user guide, "Add reboot actions to
        # Amazon CloudWatch alarms").
        _status_check("system", "System", Action.RECOVER, 2, f"{gateway}: its hardware fails; EC2 moves it."),
        _status_check("instance", "Instance", Action.REBOOT, 3, f"{gateway}: it hangs; EC2 restarts it."),
    )


def _status_check(name: str, check: str, action: Action, periods: int, description: str) -> Alarm:
    return Alarm(
        name=f"{name}-check-failed",
        metric=f"StatusCheckFailed_{check}",
        statistic="Maximum",
        comparison="GreaterThanOrEqualToThreshold",
        threshold=1,
        periods=periods,
        missing="missing",
        action=action,
        description=description,
    )


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A gateway on a dashboard."""

    gateway: str
    """Host name."""
    region: str
    dimensions: Mapping[str, str]
    instance_id: str
    tunnels: Sequence[Tunnel]


_WIDTH: Final = 24
"""Columns of a dashboard."""


def dashboard(gateways: Sequence[Watched]) -> dict[str, Any]:
    """Return the body of a dashboard: a column for each gateway (CloudWatch API reference, "Dashboard body")."""
    width = _WIDTH // len(gateways)
    return {
        "periodOverride": "inherit",
        "widgets": [
            widget
            for number, each in enumerate(gateways)
            for widget in _stacked(_widgets(each), x=number * width, width=width)
        ],
    }


def _widgets(watched: Watched) -> list[tuple[int, dict[str, Any]]]:
    """Return height and properties of each widget of a gateway's column, from the top."""

    def widget(title: str, metrics: list[list[Any]], **properties: Any) -> dict[str, Any]:
        common = {"region": watched.region, "period": _MINUTE, "stat": "Average", "view": "timeSeries"}
        return {**common, "title": f"{watched.gateway}: {title}", "metrics": metrics, **properties}

    own = [each for pair in watched.dimensions.items() for each in pair]
    instance = ["InstanceId", watched.instance_id]

    def of(metric: str, tunnels: Sequence[Tunnel]) -> list[list[Any]]:
        names = [each.connection for each in tunnels]
        return [[NAMESPACE, metric, *own, "Tunnel", name, {"label": name}] for name in names]

    state = of("TunnelUp", watched.tunnels)
    failed = [[NAMESPACE, "LayersFailed", *own]]
    measured = [each for each in watched.tunnels if each.has_echoes]
    up = widget("tunnel up (1) or down (0)", state, view="singleValue", stat="Minimum", sparkline=True)
    echoes = [
        (6, widget("round trip, ms", of("RoundTripTime", measured), yAxis={"left": {"min": 0}})),
        (6, widget("lost echoes, %", of("LostEchoes", measured), yAxis={"left": {"min": 0, "max": 100}})),
    ]
    traffic = [["AWS/EC2", metric, *instance, {"stat": "Sum"}] for metric in ("NetworkIn", "NetworkOut")]
    return [
        *([(4, up)] if watched.tunnels else []),
        (4, widget("own layers that fail", failed, view="singleValue", stat="Maximum", sparkline=True)),
        *(echoes if measured else []),
        # EC2's basic monitoring has these for nothing, every five minutes.
        (6, widget("traffic, bytes in five minutes", traffic, period=5 * _MINUTE)),
        (6, widget("plaintext dropped, packets", [[NAMESPACE, "PlaintextDropped", *own]], stat="Sum")),
        (6, widget("connections tracked, %", [[NAMESPACE, "ConnectionsTracked", *own]], yAxis={"left": {"min": 0}})),
        (
            6,
            widget(
                "status checks failed, and CPU credits",
                [
                    ["AWS/EC2", "StatusCheckFailed", *instance, {"stat": "Maximum"}],
                    ["AWS/EC2", "CPUCreditBalance", *instance, {"yAxis": "right", "period": 5 * _MINUTE}],
                ],
            ),
        ),
    ]


def _stacked(widgets: Sequence[tuple[int, dict[str, Any]]], *, x: int, width: int) -> list[dict[str, Any]]:
    placed, y = [], 0
    for height, properties in widgets:
        placed.append({"type": "metric", "x": x, "y": y, "width": width, "height": height, "properties": properties})
        y += height
    return placed
