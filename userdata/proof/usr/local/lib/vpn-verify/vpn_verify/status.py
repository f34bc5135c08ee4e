"""Parsers of `whack --status`: the patterns are those that Libreswan 4.10 to 5.4 share."""

import re


def about(connection: str, status: str) -> str:
    """Return the lines of `whack --status` on the connections of all pairs of ranges."""
    # 4.x starts every line with `000 `; the line of a negotiation starts with its number.
    return "\n".join(re.findall(rf'^(?:000 )?(?:#\d+: )?"{re.escape(connection)}[/"].*', status, re.M))


def algorithms(protocol: str, lines: str) -> str:
    """Return the algorithms of the newest established SAs; `protocol` is a pattern for `IKEv1`, `IKEv2` and `ESP`."""
    return ", ".join(sorted(set(re.findall(rf"({protocol} algorithm newest: [^\s;]+)", lines)))).replace(
        "algorithm newest: ", ""
    )
