"""Start, stop, reboot, terminate, monitor and change instances: the allowed states and the answers."""

import base64
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.types import Base64EncodedString
from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.responses import EC2Response

from lab.api.corrections import Call, corrects, refuses
from lab.api.errors import ec2_error
from lab.api.launch import require_user_data_size


def _state_changes(instances: list[tuple[Instance, InstanceState]]) -> list[dict[str, Any]]:
    return [
        {"InstanceId": instance.id, "CurrentState": instance.instance_state, "PreviousState": previous}
        for instance, previous in instances
    ]


class LifecycleResponse(EC2Response):
    """Answers with the current state, monitoring, and changes of user data."""

    @corrects("CurrentState is the state after the call.", "AWSEC2/latest/APIReference/API_StartInstances.html")
    def start_instances(self) -> ActionResult:
        self.error_on_dryrun()
        changes = self.ec2_backend.start_instances(self._get_param("InstanceIds", []))
        return ActionResult({"StartingInstances": _state_changes(changes)})

    @corrects("CurrentState is the state after the call.", "AWSEC2/latest/APIReference/API_StopInstances.html")
    def stop_instances(self) -> ActionResult:
        self.error_on_dryrun()
        changes = self.ec2_backend.stop_instances(self._get_param("InstanceIds", []))
        return ActionResult({"StoppingInstances": _state_changes(changes)})

    @corrects(
        "Terminating is idempotent; CurrentState is the state after the call.",
        "AWSEC2/latest/APIReference/API_TerminateInstances.html",
    )
    def terminate_instances(self) -> ActionResult:
        self.error_on_dryrun()
        changes = self.ec2_backend.terminate_instances(self._get_param("InstanceIds", []))
        return ActionResult({"TerminatingInstances": _state_changes(changes)})

    @corrects("Detailed monitoring can be switched on.", "AWSEC2/latest/APIReference/API_MonitorInstances.html")
    def monitor_instances(self) -> ActionResult:  # type: ignore[override]  # moto's only raises
        return self._monitor("enabled")

    @corrects("Detailed monitoring can be switched off.", "AWSEC2/latest/APIReference/API_UnmonitorInstances.html")
    def unmonitor_instances(self) -> ActionResult:  # type: ignore[override]  # moto's only raises
        return self._monitor("disabled")

    def _monitor(self, state: str) -> ActionResult:
        self.error_on_dryrun()
        instances = self.ec2_backend.get_multi_instances_by_id(self._get_param("InstanceIds", []))
        for instance in instances:
            instance.monitoring_state = state
        answers = [{"InstanceId": instance.id, "Monitoring": {"State": state}} for instance in instances]
        return ActionResult({"InstanceMonitorings": answers})

    @corrects(
        "The value of UserData is the raw user data; the API encodes it in base64 once.",
        "AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html",
    )
    def modify_instance_attribute(self) -> ActionResult:
        user_data = self._get_param("UserData.Value")
        if user_data is None:
            return super().modify_instance_attribute()
        self.error_on_dryrun()
        raw = user_data if isinstance(user_data, bytes) else base64.b64decode(user_data)
        require_user_data_size(raw)
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        instance.user_data = Base64EncodedString(base64.b64encode(raw).decode())
        return EmptyResult()


@refuses(
    "StartInstances",
    rule="Only a stopped instance can be started; starting a running one changes nothing.",
    source="AWSEC2/latest/APIReference/API_StartInstances.html",
)
def instance_can_be_started(call: Call) -> None:
    """IncorrectInstanceState."""
    for instance in call.backend.get_multi_instances_by_id(call.parameter("InstanceIds") or []):
        if instance.state not in {"stopped", "running", "pending"}:
            raise ec2_error(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be started.",
            )


@refuses(
    "StopInstances",
    rule="Only a running instance can be stopped; stopping a stopped one changes nothing.",
    source="AWSEC2/latest/APIReference/API_StopInstances.html",
)
def instance_can_be_stopped(call: Call) -> None:
    """IncorrectInstanceState."""
    for instance in call.backend.get_multi_instances_by_id(call.parameter("InstanceIds") or []):
        if instance.state not in {"running", "stopping", "stopped"}:
            raise ec2_error(
                "IncorrectInstanceState",
                f"This instance '{instance.id}' is not in a state from which it can be stopped.",
            )


@refuses(
    "RebootInstances",
    rule="Only a running instance can be rebooted.",
    source="AWSEC2/latest/APIReference/API_RebootInstances.html",
)
def instance_can_be_rebooted(call: Call) -> None:
    """IncorrectInstanceState."""
    for instance in call.backend.get_multi_instances_by_id(call.parameter("InstanceIds") or []):
        if instance.state != "running":
            raise ec2_error(
                "IncorrectInstanceState",
                f"The instance '{instance.id}' is not in a state from which it can be rebooted.",
            )


@refuses(
    "ModifyInstanceAttribute",
    rule="User data and instance type can be changed only while the instance is stopped.",
    source="AWSEC2/latest/APIReference/API_ModifyInstanceAttribute.html",
)
def instance_is_stopped_for_the_change(call: Call) -> None:
    """IncorrectInstanceState."""
    changes = [name for name in ("UserData", "InstanceType") if call.parameter(f"{name}.Value") is not None]
    changes += [call.parameter("Attribute")] if call.parameter("Attribute") in {"userData", "instanceType"} else []
    instance = call.backend.get_instance(call.parameter("InstanceId"))
    if changes and instance.state != "stopped":
        raise ec2_error("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state.")
