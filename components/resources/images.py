"""Chooses the machine image that a site's instances boot."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from ..decisions.addressing import Problem
from ..inputs.reader import SettingsError
from ..inputs.site import SiteSettings
from .kept import keep
from .lookups import look_up
from .scope import Scope

DEBIAN_OWNER = "136693071363"
"""AWS account of the Debian project (wiki.debian.org/Cloud/AmazonEC2Image)."""

_OF_AWS: Final = {"amd64": "x86_64", "arm64": "arm64"}
"""Debian's name of a processor architecture -> AWS's name."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """The machine image of a site's instances."""

    id: pulumi.Output[str]
    loss: pulumi.Output[str]
    """Why no new instance can boot it; empty if one can."""


@dataclass(frozen=True, kw_only=True)
class _LookedUp:
    id: str
    architecture: str = ""
    root_gib: int = 0
    failure: str = ""
    """Why the look-up failed; all other fields are empty then. Empty if it succeeded."""


def architecture(instance_type: str) -> str:
    """Return the architecture of an EC2 instance type in Debian's words: `amd64`, or `arm64` for Graviton (`t4g`).

    A `g` after the generation's number means Graviton (Amazon EC2 user guide, "Instance type names").
    """
    family = instance_type.partition(".")[0]
    is_graviton = family == "a1" or re.fullmatch(r"[a-z]+[0-9]+[a-z]*g[a-z]*", family) is not None
    # In g4dn, g is the family, and d and n are the attributes. x2idn has no g after its generation either.
    return "arm64" if is_graviton else "amd64"


def choose_image(scope: Scope, site: SiteSettings, region: pulumi.Output[str]) -> Image:
    """Return the site's machine image. Raises `SettingsError` when it does not fit the settings.

    `debian-12` and `debian-13` mean the newest image when the site is first created. The stack's state then keeps its
    id, so that a newly published image replaces no running gateway. After Debian has published an image, the first
    `pulumi preview` shows an update of `…-image`, and after the next `up` previews show nothing. To use the new image,
    set `image` to its id, or run `pulumi up --replace` with the URN of `…-image`. A change of `image`, of the region or
    of the instance type's architecture also looks for the newest image again.

    An image that cannot be looked up is refused if it would be used for the first time. Otherwise there is a warning,
    because a running instance does not need its image.
    """
    processor = architecture(site.instance_type)
    lookup = _by_id(scope, site.image) if site.image.startswith("ami-") else _newest(scope, site.image, processor)
    configured: pulumi.Output[_LookedUp] = pulumi.Output.from_input(lookup)
    kept = keep(
        scope,
        "image",
        configured.apply(lambda image: image.id),
        # An image's id is valid in one region only.
        again_for=region.apply(lambda name: f"{site.image} {processor} {name}"),
        refusal=configured.apply(
            lambda image: _refusal(site.image, image) or "; ".join(map(str, _misfits(site, image)))
        ),
    )
    used = pulumi.Output.all(kept, configured).apply(
        lambda both: both[1] if both[1].id == both[0] else _by_id(scope, both[0])
    )
    return Image(
        id=pulumi.Output.all(configured, used).apply(lambda both: _checked(scope, site, *both)),
        loss=used.apply(lambda image: _refusal(image.id, image)),
    )


async def _newest(scope: Scope, release: str, processor: str) -> _LookedUp:
    arguments = {
        "mostRecent": True,
        "owners": [DEBIAN_OWNER],
        "filters": [
            {"name": "name", "values": [f"{release}-{processor}-*"]},
            {"name": "state", "values": ["available"]},
        ],
    }
    return await _look_up(scope, "", arguments)


async def _by_id(scope: Scope, image_id: str) -> _LookedUp:
    filters = [{"name": "image-id", "values": [image_id]}, {"name": "state", "values": ["available"]}]
    return await _look_up(scope, image_id, {"filters": filters})


async def _look_up(scope: Scope, image_id: str, arguments: Mapping[str, Any]) -> _LookedUp:
    # AWS hides images that were published more than two years ago, unless deprecated ones are asked for.
    arguments = {**arguments, "includeDeprecated": True}
    answer, failure = await look_up(scope, "aws:ec2/getAmi:getAmi", arguments)
    if failure:
        return _LookedUp(id=image_id, failure=failure)
    volumes = {each["deviceName"]: each.get("ebs") or {} for each in answer["blockDeviceMappings"]}
    return _LookedUp(
        id=answer["id"],
        architecture=answer["architecture"],
        root_gib=int(volumes.get(answer["rootDeviceName"], {}).get("volume_size") or 0),
    )


def _refusal(setting: str, image: _LookedUp) -> str:
    if not image.failure:
        return ""
    remedy = "use debian-13, debian-12, or the id of an AMI that this account sees in this region"
    return str(Problem(setting="image", value=setting, rule=f"is not found: {image.failure}", remedy=remedy))


def _checked(scope: Scope, site: SiteSettings, configured: _LookedUp, used: _LookedUp) -> str:
    """Return the id of the image in use. Raises `SettingsError` unless it fits."""
    failure = configured if configured.failure else used
    if failure.failure and not used.id:
        # Only under the SDK's mocks: the engine has refused this by the hook of `keep`.
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


def _misfits(site: SiteSettings, image: _LookedUp) -> list[Problem]:
    problems = []
    wanted = _OF_AWS[architecture(site.instance_type)]
    if image.architecture != wanted:
        rule = f"is for {image.architecture}, and instance_type {site.instance_type} is {wanted}"
        remedy = f"give an AMI for {wanted}, or another instance_type"
        problems.append(Problem(setting="image", value=image.id, rule=rule, remedy=remedy))
    if image.root_gib > site.root_volume_size:
        rule = f"is less than the {image.root_gib} GiB of the root volume of {image.id}"
        remedy = f"set it to {image.root_gib} or more"
        problems.append(Problem(setting="root_volume_size", value=str(site.root_volume_size), rule=rule, remedy=remedy))
    return problems
