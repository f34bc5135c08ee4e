"""Which machine image a site's instances boot."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from ..decisions.problems import Problem
from ..inputs.problems import SettingsError
from ..inputs.site import SiteSettings
from .kept import keep
from .lookups import look_up
from .scope import Scope

DEBIAN_OWNER = "136693071363"
"""AWS account of the Debian project (wiki.debian.org/Cloud/AmazonEC2Image)."""

_OF_AWS: Final = {"amd64": "x86_64", "arm64": "arm64"}
"""Debian's name of a processor -> AWS's."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """What a site's instances boot."""

    id: pulumi.Output[str]
    loss: pulumi.Output[str]
    """Why no instance can be made of it any more; empty: one can."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    id: str
    architecture: str = ""
    root_gib: int = 0
    failure: str = ""
    """Why nothing was found; the rest is then empty."""


def architecture(instance_type: str) -> str:
    """Return Debian's name of the processor of an EC2 instance type: `amd64`, or `arm64` for Graviton (`t4g`, `c7gn`).

    The letters after a family's generation say so (Amazon EC2 user guide, "Instance type names").
    """
    family = instance_type.partition(".")[0]
    is_graviton = family == "a1" or re.fullmatch(r"[a-z]+[0-9]+[a-z]*g[a-z]*", family) is not None
    # In g4dn the family is g and the attributes are d and n; x2idn has no g behind its generation either.
    return "arm64" if is_graviton else "amd64"


def choose_image(scope: Scope, site: SiteSettings, region: pulumi.Output[str]) -> Image:
    """Return the site's machine image, once it is found to fit; raises `SettingsError` when it does not.

    `debian-12` and `debian-13` mean the newest image when the site is first created; its id is then kept in the stack's
    state, so that a newly published image replaces no running gateway. The first `pulumi preview` after a newer one is
    published shows an update of `…-image`; after the next `up`, previews are silent. To take it, set `image` to its id,
    or run `pulumi up --replace` with that resource's URN. Another setting, region or processor (by the instance type)
    looks again.

    What cannot be looked up is refused when it would be used for the first time, and otherwise warned about: an
    instance that runs needs no image.
    """
    processor = architecture(site.instance_type)
    asked = _by_id(scope, site.image) if site.image.startswith("ami-") else _newest(scope, site.image, processor)
    found: pulumi.Output[_Found] = pulumi.Output.from_input(asked)
    kept = keep(
        scope,
        "image",
        found.apply(lambda image: image.id),
        # An id is one region's.
        again_for=region.apply(lambda name: f"{site.image} {processor} {name}"),
        refusal=found.apply(lambda image: _refusal(site.image, image) or "; ".join(map(str, _misfits(site, image)))),
    )
    used = pulumi.Output.all(kept, found).apply(
        lambda both: both[1] if both[1].id == both[0] else _by_id(scope, both[0])
    )
    return Image(
        id=pulumi.Output.all(found, used).apply(lambda both: _checked(scope, site, *both)),
        loss=used.apply(lambda image: _refusal(image.id, image)),
    )


async def _newest(scope: Scope, release: str, processor: str) -> _Found:
    arguments = {
        "mostRecent": True,
        "owners": [DEBIAN_OWNER],
        "filters": [
            {"name": "name", "values": [f"{release}-{processor}-*"]},
            {"name": "state", "values": ["available"]},
        ],
    }
    return await _look_up(scope, "", arguments)


async def _by_id(scope: Scope, image_id: str) -> _Found:
    filters = [{"name": "image-id", "values": [image_id]}, {"name": "state", "values": ["available"]}]
    return await _look_up(scope, image_id, {"filters": filters})


async def _look_up(scope: Scope, image_id: str, arguments: Mapping[str, Any]) -> _Found:
    # AWS hides an image two years after its publication from those who do not ask for deprecated ones.
    everything = {**arguments, "includeDeprecated": True}
    answer, failure = await look_up(scope, "aws:ec2/getAmi:getAmi", everything)
    if failure:
        return _Found(id=image_id, failure=failure)
    volumes = {each["deviceName"]: each.get("ebs") or {} for each in answer["blockDeviceMappings"]}
    return _Found(
        id=answer["id"],
        architecture=answer["architecture"],
        root_gib=int(volumes.get(answer["rootDeviceName"], {}).get("volume_size") or 0),
    )


def _refusal(setting: str, image: _Found) -> str:
    if not image.failure:
        return ""
    remedy = "use debian-13, debian-12, or the id of an AMI that this account sees in this region"
    return str(Problem(setting="image", value=setting, rule=f"is not found: {image.failure}", remedy=remedy))


def _checked(scope: Scope, site: SiteSettings, found: _Found, used: _Found) -> str:
    """Return the id of what is used; raises `SettingsError` unless it fits."""
    failure = found if found.failure else used
    if failure.failure and not used.id:
        # With the engine, its hook has refused that before.
        raise SettingsError(f"VpnGateway {scope.resource_name!r}: {_refusal(site.image, failure)}", [])
    if failure.failure:
        kept = (
            f"{scope.site}-gateway runs {used.id} and goes on. Another instance cannot be made of it"
            if used.failure
            else (f"{scope.site} keeps {used.id}")
        )
        pulumi.log.warn(f"{_refusal(site.image, failure)}. {kept}.", scope.parent)
    problems = [] if used.failure else _misfits(site, used)
    if problems:
        raise SettingsError(f"VpnGateway {scope.resource_name!r}", problems)
    return used.id


def _misfits(site: SiteSettings, image: _Found) -> list[Problem]:
    problems = []
    wanted = _OF_AWS[architecture(site.instance_type)]
    if image.architecture != wanted:
        rule = f"is for {image.architecture}, and `instance_type` {site.instance_type} is {wanted}"
        remedy = f"give an AMI for {wanted}, or another `instance_type`"
        problems.append(Problem(setting="image", value=image.id, rule=rule, remedy=remedy))
    if image.root_gib > site.root_volume_size:
        rule = f"is less than the {image.root_gib} GiB of the root volume of {image.id}"
        remedy = f"set it to {image.root_gib} or more"
        problems.append(Problem(setting="root_volume_size", value=str(site.root_volume_size), rule=rule, remedy=remedy))
    return problems
