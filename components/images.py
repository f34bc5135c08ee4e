"""Which machine image a site's instances boot."""

import re

import pulumi
from pulumi_aws import ec2

from .scope import Scope
from .site_settings import SiteSettings

DEBIAN_OWNER = "136693071363"
"""AWS account of the Debian project (wiki.debian.org/Cloud/AmazonEC2Image)."""


def architecture(instance_type: str) -> str:
    """Return Debian's name of the processor of an EC2 instance type: `amd64`, or `arm64` for Graviton (`t4g`, `c7gn`).

    The letters after a family's generation say so (Amazon EC2 user guide, "Instance type names").
    """
    family = instance_type.partition(".")[0]
    is_graviton = family == "a1" or re.fullmatch(r"[a-z]+[0-9]+[a-z]*g[a-z]*", family) is not None
    # In g4dn the family is g and the attributes are d and n; x2idn has no g behind its generation either.
    return "arm64" if is_graviton else "amd64"


def image_id(scope: Scope, site: SiteSettings) -> pulumi.Output[str]:
    """Return the id of the site's machine image.

    An id is taken as it is. `debian-12` and `debian-13` mean the newest image when the site is first created; the id is
    then kept in the stack's state, so that a newly published image replaces no running gateway. The first
    `pulumi preview` after a newer one is published shows an update of `…-image`; after the next `up`, previews are
    silent. To take it, set `image` to its id, or run `pulumi up --replace` with that resource's URN. Another setting,
    region or processor (by the instance type) looks again.
    """
    if site.image.startswith("ami-"):
        return pulumi.Output.from_input(site.image)
    processor = architecture(site.instance_type)
    newest = ec2.get_ami_output(
        most_recent=True,
        owners=[DEBIAN_OWNER],
        filters=[
            ec2.GetAmiFilterArgs(name="name", values=[f"{site.image}-{processor}-*"]),
            ec2.GetAmiFilterArgs(name="state", values=["available"]),
        ],
        opts=pulumi.InvokeOutputOptions(parent=scope.parent),
    )
    # An id is one region's. The ARN says which (arn:aws:ec2:REGION::image/ami-…).
    wanted = newest.arn.apply(lambda arn: f"{site.image} {processor} {arn.split(':')[3]}")
    options = pulumi.ResourceOptions(replacement_trigger=wanted)
    kept = pulumi.Stash(
        scope.name("image"), input=newest.id, opts=pulumi.ResourceOptions.merge(scope.options(), options)
    )
    return kept.output.apply(str)
