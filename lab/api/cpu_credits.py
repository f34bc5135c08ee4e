"""CPU credits of burstable instances."""

from typing import Any, Final

from moto.core.responses import ActionResult
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.models.instances import Instance
from moto.ec2.responses import EC2Response

from lab.api.corrections import corrects
from lab.api.errors import ec2_error

_OPTIONS: Final = ("standard", "unlimited")
_ACTION: Final = "AWSEC2/latest/APIReference/API_ModifyInstanceCreditSpecification.html"


def set_at_launch(instances: list[Instance], asked: str | None) -> None:
    """Remember the option that RunInstances asked for. Raises InvalidParameterValue for an unknown one."""
    if asked is None:
        return
    _require_known(asked)
    for instance in instances:
        instance.lab_cpu_credits = asked  # type: ignore[attr-defined]  # moto's instances know nothing of credits


class CreditResponse(EC2Response):
    """Credits as asked for, at launch or later."""

    @corrects(
        "T2 instances launch as standard, later burstable ones as unlimited, unless asked otherwise; others have none.",
        "AWSEC2/latest/UserGuide/burstable-performance-instances-unlimited-mode-concepts.html",
    )
    def describe_instance_credit_specifications(self) -> ActionResult:
        asked = self._get_param("InstanceIds", [])
        found = self.ec2_backend.describe_instance_credit_specifications(asked)
        options = {each.id: _option(each) for each in found}
        # Without ids AWS lists the unlimited ones.
        shown = {"unlimited"} if not asked else set(_OPTIONS)
        listed = [{"InstanceId": each, "CpuCredits": option} for each, option in options.items() if option in shown]
        return ActionResult({"InstanceCreditSpecifications": listed})

    @corrects("The credit option of a burstable instance can be changed at any time.", _ACTION, adds=True)
    def modify_instance_credit_specification(self) -> ActionResult:
        self.error_on_dryrun()
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for change in self._get_param("InstanceCreditSpecifications", []):
            _require_known(change.get("CpuCredits"))
            [instance] = self.ec2_backend.get_multi_instances_by_id([change["InstanceId"]])
            if _option(instance) is None:
                reason = "You can only modify CPU credit specification on burstable performance instances."
                error = {"Code": "InstanceCreditSpecification.NotSupported", "Message": reason}
                failed.append({"InstanceId": instance.id, "Error": error})
                continue
            instance.lab_cpu_credits = change["CpuCredits"]
            done.append({"InstanceId": instance.id})
        return ActionResult(
            {
                "SuccessfulInstanceCreditSpecifications": done,
                "UnsuccessfulInstanceCreditSpecifications": failed,
            }
        )


def _option(instance: Any) -> str | None:
    if not INSTANCE_TYPES[instance.instance_type].get("BurstablePerformanceSupported"):
        return None
    default = "standard" if instance.instance_type.startswith("t2.") else "unlimited"
    return str(getattr(instance, "lab_cpu_credits", default))


def _require_known(option: str | None) -> None:
    if option not in _OPTIONS:
        raise ec2_error(
            "InvalidParameterValue", f"Value ({option}) for parameter CpuCredits is invalid. Use standard or unlimited."
        )
