"""Chooses a site's availability zone and checks that its instance type is offered there."""

import re
from dataclasses import dataclass
from typing import Final

import pulumi

from ..decisions.addressing import Problem
from ..inputs.reader import SettingsError
from .kept import keep
from .lookups import look_up
from .scope import Scope

_OFFERINGS: Final = "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings"
_ZONE: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+[a-z]")
"""Matches availability zones, but no Local Zone and no Wavelength Zone."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The zones of a region in which an instance type is offered."""

    instance_type: str
    zones: tuple[str, ...]
    failure: str
    """Why the zones are unknown; empty if they are known."""


async def _ask(scope: Scope, instance_type: str) -> Offer:
    filters = [{"name": "instance-type", "values": [instance_type]}]
    answer, failure = await look_up(scope, _OFFERINGS, {"filters": filters, "locationType": "availability-zone"})
    zones = sorted(each for each in answer.get("locations") or () if _ZONE.fullmatch(each))
    return Offer(instance_type=instance_type, zones=tuple(zones), failure=failure)


def offer_of(scope: Scope, instance_type: str) -> pulumi.Output[Offer]:
    """Look up where an instance type is offered."""
    return pulumi.Output.from_input(_ask(scope, instance_type))


def choose_zone(scope: Scope, offer: pulumi.Output[Offer], region: pulumi.Output[str]) -> pulumi.Output[str]:
    """Return the zone of all subnets of a site: the first one that offers its instance type when it is first created.

    The stack's state keeps the choice, because another zone needs new subnets. Another region chooses again.
    """
    first = offer.apply(lambda known: next(iter(known.zones), ""))
    refusal = pulumi.Output.all(offer, region).apply(lambda values: _refusal(*values))
    return keep(scope, "zone", first, again_for=region, refusal=refusal)


def _refusal(offer: Offer, region: str) -> str:
    if offer.zones:
        return ""
    rule = (
        f"is not known to be offered in {region}: {offer.failure}" if offer.failure else f"is not offered in {region}"
    )
    remedy = "use another one, or name availability_zones"
    return str(Problem(setting="instance_type", value=offer.instance_type, rule=rule, remedy=remedy))


def offered_type(scope: Scope, offer: pulumi.Output[Offer], zones: pulumi.Output[list[str]]) -> pulumi.Output[str]:
    """Return the instance type. Raises `SettingsError` unless it is offered in all of `zones`.

    AWS would refuse it only after all other resources are made, or after a running gateway was stopped for the change.
    """

    def check(offer: Offer, zones: list[str]) -> str:
        missing = [] if offer.failure else sorted(set(zones) - set(offer.zones))
        if missing:
            rule = f"is not offered in {', '.join(missing)}, where the site's subnets are"
            where = f"subnets in {' or '.join(offer.zones)}" if offer.zones else "another region"
            problem = Problem(
                setting="instance_type", value=offer.instance_type, rule=rule, remedy=f"use another one, or {where}"
            )
            raise SettingsError(f"VpnGateway {scope.resource_name!r}", [problem])
        return offer.instance_type

    return pulumi.Output.all(offer, zones).apply(lambda values: check(*values))
