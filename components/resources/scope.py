"""What all resources of one site share: the parent, the prefix of their names, and the tags."""

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
    """The component's own name; its children are called `<resource_name>-<part>`."""
    site: str
    common_tags: Mapping[str, str]

    def name(self, part: str) -> str:
        """Return the logical name of a child."""
        return f"{self.resource_name}-{part}"

    @staticmethod
    def by_range(part: str, cidr_block: IPv4Network) -> str:
        """Return a child's name that has its range instead of its index in a list, which may change.

        Under a new name the engine would create the resource a second time before it deletes the first, and AWS takes
        each range only once.
        """
        return f"{part}-{cidr_block}".replace("/", "-")

    def tags(self, part: str) -> dict[str, str]:
        """Return the caller's tags and `Name`, e.g. `uk-gateway`."""
        return {**self.common_tags, "Name": f"{self.site}-{part}"}

    def mark(self, part: str) -> str:
        """Return a description that is unique to this component, stack and project under their present names."""
        return f"{part} of {pulumi.get_project()}/{pulumi.get_stack()}/{self.resource_name}"

    @staticmethod
    def every_mark(part: str) -> str:
        """Return a pattern for filters of the EC2 API that matches the marks of all components."""
        return f"{part} of *"

    def options(self, depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        """Return the options of a child."""
        return pulumi.ResourceOptions(parent=self.parent, depends_on=list(depends_on) or None)
