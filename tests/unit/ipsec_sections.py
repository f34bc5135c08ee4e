"""ipsec.conf(5) as Libreswan reads it: its sections, and the connections that are loaded of them."""

import re
from collections.abc import Mapping

Section = Mapping[str, str]


def sections(text: str) -> dict[str, Section]:
    """Return name of each `conn` in a file -> its keywords."""
    parts = re.split(r"^conn (.*)\n", text, flags=re.MULTILINE)[1:]
    found = dict[str, Section]()
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        pairs = re.findall(r"^\s+([a-z0-9-]+)=(.+)$", body, re.MULTILINE)
        assert name not in found
        assert len(dict(pairs)) == len(pairs), f"{name} has a keyword twice"
        found[name] = dict(pairs)
    return found


def loaded(conns: Mapping[str, Section]) -> dict[str, Section]:
    """Return name -> all keywords of the connections that are loaded when the daemon starts.

    Those are all with `auto`. Libreswan refuses a keyword that a section has twice, also by `also`.
    """
    whole = {name: _whole(conns, keywords) for name, keywords in conns.items()}
    return {name: keywords for name, keywords in whole.items() if keywords.get("auto", "ignore") != "ignore"}


def _whole(conns: Mapping[str, Section], keywords: Section) -> Section:
    own = {key: value for key, value in keywords.items() if key != "also"}
    if "also" not in keywords:
        return own
    others = _whole(conns, conns[keywords["also"]])
    assert not own.keys() & others.keys()
    return {**others, **own}


def shared(connections: Mapping[str, Section]) -> dict[str, Section]:
    """Return what both gateways must have alike: `local=peer` ranges of each connection -> its keywords of no side."""
    return {
        f"{each['leftsubnet']}={each['rightsubnet']}": {
            key: value for key, value in each.items() if not key.startswith(("left", "right", "connalias"))
        }
        for each in connections.values()
    }


def check_mirror(own: Mapping[str, Section], peers: Mapping[str, Section]) -> None:
    """Check that each loaded connection of one gateway has exactly one of the other, with the sides exchanged."""
    turned = {"=".join(pair.split("=")[::-1]): keywords for pair, keywords in shared(peers).items()}
    assert shared(own) == turned
    assert len(own) == len(peers) == len(turned)
    for one in own.values():
        (other,) = (
            each
            for each in peers.values()
            if (each["leftsubnet"], each["rightsubnet"]) == (one["rightsubnet"], one["leftsubnet"])
        )
        assert (one["leftid"], one["rightid"]) == (other["rightid"], other["leftid"])
        assert (one["right"], other["right"]) == (one["rightid"], other["rightid"])
        assert one["left"] == other["left"] == "%defaultroute"
