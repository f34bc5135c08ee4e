"""The Elastic IP of a gateway: one that is created here, or one of the caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import ec2

from ..decisions.problems import Problem
from ..inputs.problems import SettingsError
from ..inputs.site import SiteSettings
from .kept import keep
from .lookups import look_up
from .scope import Scope


@dataclass(frozen=True, kw_only=True)
class ElasticIp:
    """An Elastic IP."""

    allocation_id: pulumi.Output[str]
    public_ip: pulumi.Output[str]


@dataclass(frozen=True, kw_only=True)
class _LookedUp:
    id: str
    public_ip: str = ""
    problem: Problem | None = None
    """Why a gateway cannot take it now."""


def elastic_ip(scope: Scope, site: SiteSettings, mark: pulumi.Input[str]) -> ElasticIp:
    """Return the gateway's Elastic IP. `mark` is the description of the gateway's interface.

    The caller's own is refused at preview, before anything changes, when the region does not have it or something else
    uses it: AWS would take it away from there (Amazon EC2 API reference, "AssociateAddress").
    """
    if site.allocation_id is None:
        kept = pulumi.ResourceOptions(retain_on_delete=site.retain_elastic_ip or None)
        made = ec2.Eip(
            scope.name("gateway-address"),
            domain="vpc",
            tags=scope.tags("gateway-address"),
            opts=pulumi.ResourceOptions.merge(scope.options(), kept),
        )
        return ElasticIp(allocation_id=made.allocation_id, public_ip=made.public_ip)
    found: pulumi.Output[_LookedUp] = pulumi.Output.from_input(site.allocation_id).apply(
        lambda allocation_id: _find(scope, allocation_id, mark)
    )
    allocation_id = found.apply(lambda address: address.id)
    # Only its first use is refused: later, this gateway uses it.
    taken = keep(
        scope,
        "own-address",
        allocation_id,
        again_for=allocation_id,
        refusal=found.apply(lambda address: str(address.problem or "")),
    )
    return ElasticIp(
        allocation_id=taken,
        public_ip=pulumi.Output.all(taken, found).apply(lambda both: _public_ip(scope, both[1])),
    )


async def _find(scope: Scope, allocation_id: str, mark: pulumi.Input[str]) -> _LookedUp:
    answer, failure = await look_up(scope, "aws:ec2/getElasticIp:getElasticIp", {"id": allocation_id})
    if failure:
        remedy = "give the allocation id of an Elastic IP of this account and region"
        return _LookedUp(id=allocation_id, problem=_problem(allocation_id, f"is not found: {failure}", remedy))
    user = await _user(scope, answer, mark)
    remedy = "disassociate it there, or give another"
    problem = _problem(allocation_id, f"is in use by {user}", remedy) if user else None
    return _LookedUp(id=allocation_id, public_ip=answer["publicIp"], problem=problem)


async def _user(scope: Scope, address: Mapping[str, Any], mark: pulumi.Input[str]) -> str:
    """Return what uses an Elastic IP, unless it is this gateway's interface; empty if nothing does."""
    interface_id = address.get("networkInterfaceId")
    if not interface_id:
        return ""
    answer, failure = await look_up(scope, "aws:ec2/getNetworkInterface:getNetworkInterface", {"id": interface_id})
    if not failure and answer["description"] == await pulumi.Output.from_input(mark).future():
        return ""
    return f"{interface_id} ({failure or answer['description'] or 'without a description'})"


def _public_ip(scope: Scope, address: _LookedUp) -> str:
    """Return the address. Raises `SettingsError` if it was not found; a running gateway has lost it then."""
    if not address.public_ip and address.problem:
        raise SettingsError(f"VpnGateway {scope.resource_name!r}", [address.problem])
    return address.public_ip


def _problem(allocation_id: str, rule: str, remedy: str) -> Problem:
    return Problem(setting="allocation_id", value=allocation_id, rule=rule, remedy=remedy)
