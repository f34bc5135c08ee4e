"""What every resource of one site has in common: its parent, the beginning of its name, its tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi

HOST_USER = "admin"
"""The user that Debian's images create for the key pair."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Names, tags and options for the children of one component."""

    parent: pulumi.Resource
    resource_name: str
    """The component's own name; children are `<resource_name>-<thing>`."""
    site: str
    common_tags: Mapping[str, str]

    def name(self, thing: str) -> str:
        """Return the logical name of a child."""
        return f"{self.resource_name}-{thing}"

    @staticmethod
    def by_range(thing: str, cidr_block: IPv4Network) -> str:
        """Return what a thing of a range is called: never by its place among others, which changes.

        A thing that is only renamed would be made a second time before the first one goes; AWS takes each range once.
        """
        return f"{thing}-{cidr_block}".replace("/", "-")

    def tags(self, thing: str) -> dict[str, str]:
        """Return the caller's tags and `Name`, e.g. `uk-gateway`."""
        return {**self.common_tags, "Name": f"{self.site}-{thing}"}

    def mark(self, thing: str) -> str:
        """Return a description that nothing of another component, stack or project has, as they are called now."""
        return f"{thing} of {pulumi.get_project()}/{pulumi.get_stack()}/{self.resource_name}"

    @staticmethod
    def every_mark(thing: str) -> str:
        """Return the pattern of the descriptions of all such things, as filters of the EC2 API take it."""
        return f"{thing} of *"

    def options(self, depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        """Return the options of a child."""
        return pulumi.ResourceOptions(parent=self.parent, depends_on=list(depends_on) or None)
