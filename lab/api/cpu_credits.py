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


def set_at_launch(instances: list[Instance], option: str | None) -> None:
    """Store the option of a RunInstances request. Raises InvalidParameterValue for an unknown one."""
    if option is None:
        return
    _require_known(option)
    for instance in instances:
        instance.lab_cpu_credits = option  # type: ignore[attr-defined]  # moto's instances have no credits


class CreditResponse(EC2Response):
    """DescribeInstanceCreditSpecifications and ModifyInstanceCreditSpecification."""

    @corrects(
        "T2 instances launch as standard and newer burstable types as unlimited, unless the request says otherwise; "
        "other types have no credits.",
        "AWSEC2/latest/UserGuide/burstable-performance-instances-unlimited-mode-concepts.html",
    )
    def describe_instance_credit_specifications(self) -> ActionResult:
        requested_ids = self._get_param("InstanceIds", [])
        instances = self.ec2_backend.describe_instance_credit_specifications(requested_ids)
        # A request without ids lists only the instances whose option is unlimited.
        listed_options = set(_OPTIONS) if requested_ids else {"unlimited"}
        options = {instance.id: _option(instance) for instance in instances}
        specifications = [
            {"InstanceId": instance_id, "CpuCredits": option}
            for instance_id, option in options.items()
            if option in listed_options
        ]
        return ActionResult({"InstanceCreditSpecifications": specifications})

    @corrects("The credit option of a burstable instance can be changed at any time.", _ACTION, adds=True)
    def modify_instance_credit_specification(self) -> ActionResult:
        self.error_on_dryrun()
        changed: list[dict[str, Any]] = []
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
            changed.append({"InstanceId": instance.id})
        return ActionResult(
            {
                "SuccessfulInstanceCreditSpecifications": changed,
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
