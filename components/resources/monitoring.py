"""What CloudWatch watches a gateway with: its alarms, and dashboards."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, ec2

from ..decisions.arn import partition_of, region_of
from ..decisions.monitoring import NAMESPACE, Alarm, Tunnel, Watched, alarms, dashboard, gateway_dimensions
from ..inputs.monitoring import MonitoringSettings
from .scope import Scope


def monitor_gateway(
    scope: Scope,
    monitoring: MonitoringSettings,
    interface: ec2.NetworkInterface,
    instance: ec2.Instance,
    *,
    gateway: str,
    tunnels: Sequence[Tunnel],
    verify_command: pulumi.Output[str],
    depends_on: Sequence[pulumi.Resource],
) -> pulumi.Output[Watched]:
    """Create the alarms of a gateway, and its own dashboard if it has one; return what a dashboard shows of it.

    `gateway` is its host name.
    """
    for alarm in alarms(gateway, tunnels):
        _create_alarm(
            scope,
            monitoring,
            alarm,
            interface,
            instance,
            gateway=gateway,
            description=pulumi.Output.concat(alarm.description, " First: ", verify_command),
            depends_on=depends_on,
        )
    shown = _watched(interface, instance, gateway=gateway, tunnels=tunnels)
    if monitoring.dashboard:
        create_dashboard(scope.name("dashboard"), [shown], scope.options())
    return shown


def create_dashboard(name: str, gateways: Sequence[pulumi.Output[Watched]], options: pulumi.ResourceOptions) -> None:
    """Create a dashboard with a column for each gateway."""
    # The names of an account's dashboards differ, so this one has those of project and stack.
    unique = re.sub(r"[^A-Za-z0-9_-]", "-", f"{name}-{pulumi.get_project()}-{pulumi.get_stack()}")
    body = pulumi.Output.all(*gateways).apply(lambda known: json.dumps(dashboard(known)))
    cloudwatch.Dashboard(name, dashboard_name=unique, dashboard_body=body, opts=options)


def _create_alarm(
    scope: Scope,
    monitoring: MonitoringSettings,
    alarm: Alarm,
    interface: ec2.NetworkInterface,
    instance: ec2.Instance,
    *,
    gateway: str,
    description: pulumi.Output[str],
    depends_on: Sequence[pulumi.Resource],
) -> None:
    cloudwatch.MetricAlarm(
        scope.name(alarm.name),
        namespace="AWS/EC2" if alarm.of_instance else NAMESPACE,
        metric_name=alarm.metric,
        dimensions={"InstanceId": instance.id} if alarm.of_instance else _dimensions(gateway, interface, alarm),
        statistic=alarm.statistic,
        period=60,
        evaluation_periods=alarm.periods,
        comparison_operator=alarm.comparison,
        threshold=alarm.threshold,
        treat_missing_data=alarm.missing,
        alarm_description=description,
        alarm_actions=[*monitoring.alarm_topic_arns, *_ec2_actions(alarm, interface)],
        ok_actions=[*monitoring.alarm_topic_arns],
        tags=scope.tags(alarm.name),
        opts=scope.options(depends_on),
    )


def _dimensions(gateway: str, interface: ec2.NetworkInterface, alarm: Alarm) -> pulumi.Output[dict[str, str]]:
    tunnel = {"Tunnel": alarm.tunnel} if alarm.tunnel else {}
    return interface.id.apply(lambda known: {**gateway_dimensions(gateway, known), **tunnel})


def _ec2_actions(alarm: Alarm, interface: ec2.NetworkInterface) -> list[pulumi.Output[str]]:
    action = alarm.action
    if action is None:
        return []
    arn = interface.arn.apply(lambda known: f"arn:{partition_of(known)}:automate:{region_of(known)}:ec2:{action.value}")
    return [arn]


def _watched(
    interface: ec2.NetworkInterface, instance: ec2.Instance, *, gateway: str, tunnels: Sequence[Tunnel]
) -> pulumi.Output[Watched]:
    """Return what a dashboard shows of a gateway."""

    def known(values: Mapping[str, Any]) -> Watched:
        return Watched(
            gateway=gateway,
            region=region_of(values["arn"]),
            dimensions=gateway_dimensions(gateway, values["interface"]),
            instance_id=values["instance"],
            tunnels=tunnels,
        )

    return pulumi.Output.all(arn=interface.arn, interface=interface.id, instance=instance.id).apply(known)
