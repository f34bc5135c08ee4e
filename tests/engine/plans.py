"""The operations of a preview or an update, and the words for them in docs/changes.md."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

INSTANCE: Final = "aws:ec2/instance:Instance"
ADDRESS: Final = "aws:ec2/eip:Eip"
IDENTITY: Final = {
    "aws:ec2/vpc:Vpc": "VPC",
    "aws:ec2/subnet:Subnet": "subnet",
    ADDRESS: "Elastic IP",
    "aws:ec2/networkInterface:NetworkInterface": "network interface",
}
"""Resources that others refer to: the network, and the gateway's addresses. Type -> word of the document."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The operations of a preview or an update."""

    operations: Mapping[tuple[str, str], str]
    """Type and name of a resource -> create, update, replace or delete."""
    changed: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    """Type and name of a resource -> the properties that change."""
    warnings: tuple[str, ...] = ()
    refused: str = ""
    """The first problem; empty if the change is not refused."""

    def names(self, operation: str, *types: str) -> list[str]:
        """Return the names of the resources with an operation, of some types or, if none is named, of all."""
        return sorted(
            name
            for (kind, name), planned in self.operations.items()
            if planned == operation and (not types or kind in types)
        )

    def lost(self, *types: str) -> list[str]:
        """Return the names of the resources of some types that are replaced or deleted."""
        return sorted([*self.names("replace", *types), *self.names("delete", *types)])


def does(plan: Plan) -> str:
    """Describe a plan in words."""
    if plan.refused:
        return "**refused**"
    if plan.lost(*(kind for kind in IDENTITY if kind != ADDRESS)):
        counts = Counter(
            IDENTITY[kind] for (kind, name) in plan.operations if name in plan.lost(kind) and kind in IDENTITY
        )
        return "**network replaced**: " + ", ".join(
            f"{number} {word}{'s' if number > 1 else ''}" for word, number in sorted(counts.items())
        )
    # An association is replaced for another interface, which is above, or for another address.
    has_other_address = bool(plan.names("replace", "aws:ec2/eipAssociation:EipAssociation"))
    if plan.names("replace", INSTANCE):
        instances = (f"`{name.removeprefix('vpn-')}`" for name in plan.names("replace", INSTANCE))
        identity = "another Elastic IP" if has_other_address else "identity kept"
        return f"**instance replaced**, {identity}: " + ", ".join(instances)
    counts = Counter(plan.operations.values())
    words = [
        f"{counts[each]} {each.rstrip('e')}ed" for each in ("create", "update", "replace", "delete") if counts[each]
    ]
    if has_other_address:
        words.append("another Elastic IP")
    return "in place: " + ", ".join(words) if words else "nothing"


def loses(plan: Plan) -> str:
    """Describe in words the traffic that a change interrupts."""
    gateways = [name for name in plan.lost(INSTANCE) if name.endswith("-gateway")]
    stopped = [
        name
        for name in plan.names("update", INSTANCE)
        if name.endswith("-gateway") and "instanceType" in plan.changed[INSTANCE, name]
    ]
    losses: list[tuple[object, str]] = [
        (
            plan.lost("aws:ec2/vpc:Vpc") and plan.lost(ADDRESS),
            "all of that side, and its hosts have to go first; another Elastic IP",
        ),
        (
            plan.lost("aws:ec2/networkInterface:NetworkInterface"),
            "tunnel and that side's NAT, until the new gateway is up; the Elastic IP stays",
        ),
        (len(gateways) > 1, "tunnel and both sides' NAT, for a boot"),
        (gateways, "tunnel and that side's NAT, for a boot"),
        (plan.lost("aws:ec2/subnet:Subnet"), "the replaced subnet's hosts, which have to go first"),
        (stopped, "tunnel and that side's NAT, for a stop and a start"),
    ]
    return next((words for applies, words in losses if applies), "none")
