"""The corrected moto: the classes that replace moto's, and the dispatch of a call."""

import json
from typing import Any, Final
from urllib.parse import parse_qsl

import moto.ec2.models.elastic_block_store
import moto.ec2.models.elastic_ip_addresses
import moto.ec2.models.elastic_network_interfaces
import moto.ec2.models.instances
import moto.ec2.models.route_tables
import moto.ec2.models.security_groups
import moto.ec2.models.subnets
import moto.ssm.models
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import camelcase_to_underscores
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.responses import EC2Response
from moto.iam.responses import IamResponse
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.models import STSBackend, sts_backends
from moto.sts.responses import TokenResponse

from lab.api import (
    addresses,
    alarms,
    corrections,
    cpu_credits,
    dashboards,
    dependencies,
    images,
    instances,
    interfaces,
    key_pairs,
    launch,
    lifecycle,
    metrics,
    public_parameters,
    roles,
    routes,
    security_groups,
    subnets,
    tags,
    volumes,
)
from lab.api.errors import in_aws_words
from lab.api.state import API_FAULTS, LOCK

CHECKING_MODULES: Final = (
    addresses,
    dependencies,
    interfaces,
    key_pairs,
    launch,
    lifecycle,
    routes,
    security_groups,
    subnets,
    volumes,
)
"""Importing these declares the checks."""

MODELS: Final[tuple[tuple[Any, str, type], ...]] = (
    (moto.ec2.models.elastic_block_store, "Volume", volumes.ChangingVolume),
    (moto.ec2.models.elastic_block_store, "VolumeModification", volumes.TimedModification),
    (moto.ec2.models.elastic_ip_addresses, "ElasticAddress", addresses.BoundElasticAddress),
    (moto.ec2.models.elastic_network_interfaces, "NetworkInterface", interfaces.AccountedInterface),
    (moto.ec2.models.instances, "Instance", instances.LivingInstance),
    (moto.ec2.models.route_tables, "Route", routes.LiveRoute),
    (moto.ec2.models.security_groups, "SecurityGroupRule", security_groups.AnyProtocolRule),
    (moto.ec2.models.subnets, "Subnet", subnets.AccountedSubnet),
    (moto.ssm.models, "ParameterDict", public_parameters.PublicParameterDict),
)
"""Module of moto that creates objects of a class, the name of the class in it, and the subclass that replaces it."""


class CorrectedEC2Backend(
    addresses.AddressBackend,
    images.ImageBackend,
    instances.InstanceBackend,
    interfaces.InterfaceBackend,
    routes.RouteBackend,
    security_groups.SecurityGroupBackend,
    subnets.SubnetBackend,
):
    """A region of EC2."""


class CorrectedEC2Response(
    addresses.AddressResponse,
    cpu_credits.CreditResponse,
    launch.LaunchResponse,
    lifecycle.LifecycleResponse,
    security_groups.SecurityGroupResponse,
    tags.TagResponse,
):
    """EC2's actions; those with checks run them first (see `_add_checks`)."""

    def serialized(self, action_result: ActionResult) -> Any:
        """Serialize an answer. Errors get AWS's messages."""
        if isinstance(action_result.result, ServiceException):
            action_result = ActionResult(in_aws_words(action_result.result))
        return super().serialized(action_result)


class CorrectedCloudWatchBackend(alarms.AlarmBackend, dashboards.DashboardBackend, metrics.MetricBackend):
    """A region of CloudWatch."""


class CorrectedCloudWatchResponse(alarms.AlarmResponse, metrics.MetricResponse):
    """CloudWatch's actions."""


RESPONSES: Final[dict[str, type[BaseResponse]]] = {
    "ec2": CorrectedEC2Response,
    "iam": IamResponse,
    "monitoring": CorrectedCloudWatchResponse,
    "ssm": SimpleSystemManagerResponse,
    "sts": TokenResponse,
}
"""Signing name of each service the lab has -> the class that answers."""

_installed = False


def install() -> None:
    """Put the corrections in place, once per process. Raises IncompatibleMotoError when they do not fit moto."""
    global _installed  # noqa: PLW0603 - moto's state is the process's
    if _installed:
        return
    corrections.require_moto_version()
    # moto loads them at the first call of IAM, which then takes a tenth of a second longer.
    default_user_config["iam"]["load_aws_managed_policies"] = True
    for module, name, replacement in MODELS:
        corrections.verify(replacement, getattr(module, name))
        # moto's serializer finds `id` for `NetworkInterfaceId` by the name of the object's class.
        replacement.__name__ = name
        setattr(module, name, replacement)
    for mixin in CorrectedEC2Backend.__bases__:
        corrections.verify(mixin, EC2Backend)
    for mixin in CorrectedEC2Response.__bases__:
        corrections.verify(mixin, EC2Response)
    for mixin in CorrectedCloudWatchBackend.__bases__:
        corrections.verify(mixin, CloudWatchBackend)
    for mixin in CorrectedCloudWatchResponse.__bases__:
        corrections.verify(mixin, CloudWatchResponse)
    corrections.verify(images.DebianImage, Ami)
    images.DebianImage.__name__ = Ami.__name__
    corrections.verify(roles.TrustingBackend, STSBackend)
    cloudwatch_backends.backend = CorrectedCloudWatchBackend
    ec2_backends.backend = CorrectedEC2Backend
    sts_backends.backend = roles.TrustingBackend
    _add_checks()
    _installed = True


def forget_everything() -> None:
    """Empty the account, as at the start of the process."""
    with LOCK:
        # BackendDict.reset() first builds each backend a second time, which takes a second.
        for backends in BackendDict._instances:  # type: ignore[misc]  # a generic class of moto's
            backends.clear()
        BackendDict._instances.clear()  # type: ignore[misc]  # a generic class of moto's
        addresses.POOL.clear()
        API_FAULTS.clear()


def _add_checks() -> None:
    for action in corrections.checked_actions():
        name = camelcase_to_underscores(action)
        if not hasattr(CorrectedEC2Response, name):
            raise corrections.IncompatibleMotoError(f"a check is declared for {action}, which moto's EC2 does not have")
        setattr(CorrectedEC2Response, name, _checked(action, getattr(CorrectedEC2Response, name)))


def _checked(action: str, answer: Any) -> Any:
    def checked_answer(self: CorrectedEC2Response) -> ActionResult:
        call = corrections.Call(action=action, backend=self.ec2_backend, parameter=self._get_param)
        corrections.run_checks(call)
        result: ActionResult = answer(self)
        return result

    checked_answer.__name__ = answer.__name__
    return checked_answer


def is_json(service: str, request: Request) -> bool:
    """Return whether the request has a JSON body. CloudWatch accepts both JSON and the query protocol."""
    return service == "ssm" or (service == "monitoring" and "X-Amz-Target" in request.headers)


def action_of(service: str, request: Request) -> str:
    """Return the action's name, e.g. `RunInstances`; empty when the request has none."""
    if is_json(service, request):
        return request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    return str(_fields(request).get("Action", ""))


def parameters_of(service: str, request: Request) -> dict[str, Any]:
    """Return the request's top-level parameters; lists and structures of the query protocols stay flat."""
    if not is_json(service, request):
        return _fields(request)
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _fields(request: Request) -> dict[str, Any]:
    body = request.get_data(cache=True).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True)) or dict(request.args)


def answer(service: str, request: Request) -> tuple[int, dict[str, Any], bytes | str]:
    """Return moto's answer as status, headers and body. The caller holds the lock."""
    status, headers, body = RESPONSES[service].dispatch(request, request.raw_url, dict(request.headers))
    return int(status), dict(headers), body
