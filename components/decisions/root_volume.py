"""Whether the root volume of a running machine can get another size: a volume grows in place, and cannot shrink."""

from .problems import Problem


def shrink_refusal(machine: str, urn: str, *, before: int | None, wanted: int) -> str:
    """Return why a running machine cannot get a root volume of `wanted` GiB; empty if it can.

    `before` is the size that it has, None if that is unknown. `urn` is that of its instance.
    """
    if before is None or wanted >= before:
        return ""
    rule = f"is less than the {before} GiB of {machine}'s root volume, and a volume cannot shrink"
    remedy = f"set it to {before} or more, or replace the machine: pulumi up --replace '{urn}'"
    return str(Problem(setting="root_volume_size", value=str(wanted), rule=rule, remedy=remedy))
