"""Reads ipsec.conf(5) as a gateway has it, and the connections in `whack --status`. Shared with `vpn-verify`.

Lines that it does not know are ignored: Libreswan checks the file before it gets there.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PATH = "/etc/ipsec.d/vpn.conf"

KEY_PATH = "/etc/ipsec.d/vpn-key.conf"
"""Connections by which `vpn-verify` proves the pre-shared key. Their names begin with `key/`."""

PATHS = (PATH, KEY_PATH)

Keywords = Mapping[str, str]


class IpsecConf(NamedTuple):
    """What a file says."""

    setup: Keywords
    """Keywords of `config setup`: pluto reads them only when it starts."""
    connections: Mapping[str, Keywords]
    """Name -> keywords, in the order of the file, with those of `also=`; without templates, which have no `auto=`."""


def parse(text: str) -> IpsecConf:
    """Return what the text says."""
    setup: dict[str, str] = {}
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if line[0].isspace():
            key, _, value = line.strip().partition("=")
            # A section may refer to several others.
            if key.strip() == "also" and "also" in current:
                value = f"{current['also']} {value}"
            current[key.strip()] = value.strip().strip('"')
        else:
            current = sections.setdefault(words[1], {}) if words[0] == "conn" and len(words) > 1 else {}
            setup = current if words == ["config", "setup"] else setup
    resolved = {name: _resolved(name, sections, ()) for name in sections}
    return IpsecConf(setup, {name: keys for name, keys in resolved.items() if keys.get("auto", "ignore") != "ignore"})


def _resolved(name: str, sections: Mapping[str, Keywords], seen: tuple[str, ...]) -> dict[str, str]:
    own = dict(sections.get(name, {}))
    for other in own.pop("also", "").split():
        if other not in (*seen, name):
            own = {**_resolved(other, sections, (*seen, name)), **own}
    return own


def base(name: str) -> str:
    """Return what the names of all connections to a peer begin with: `uk-to-au`, also of `uk-to-au/1x2`.

    Those of `KEY_PATH` are a group of their own: `key`.
    """
    return name.partition("/")[0]


def loaded(status: str) -> dict[str, bool]:
    """Return name -> whether its policies are in the kernel, of each connection in `whack --status`.

    Instances count as their template. 4.x starts every line with `000 `.
    """
    names = re.findall(r'^(?:000 )?"([^"]+)"', status, re.MULTILINE)
    unrouted = re.findall(r'^(?:000 )?"([^"]+)"[^;]*===[^;]*; unrouted;', status, re.MULTILINE)
    return {name: name not in unrouted for name in names}


def missing(conf: IpsecConf, names: Iterable[str]) -> list[str]:
    """Return the connections of a file of which none of the names is."""
    found = {owner(conf, name) for name in names}
    return [name for name in conf.connections if name not in found]


def owner(conf: IpsecConf, name: str) -> str | None:
    """Return the connection of a file that a loaded one comes from; None when none does.

    Libreswan makes `uk-to-au/1x2` of `leftsubnets` and `rightsubnets`.
    """
    if name in conf.connections:
        return name
    listed = re.fullmatch(r"(.+)/\d+x\d+", name)
    keywords = conf.connections.get(listed[1], {}) if listed else {}
    return listed[1] if listed and {"leftsubnets", "rightsubnets"} & set(keywords) else None


def strays(conf: IpsecConf, names: Iterable[str], bases: Iterable[str]) -> list[str]:
    """Return the names that belong to one of these peers and that no connection of the file has."""
    ours = set(bases)
    return [name for name in names if base(name) in ours and owner(conf, name) is None]


def difference(conf: IpsecConf, names: Iterable[str]) -> str:
    """Return how the loaded connections differ from the file's, or nothing."""
    found = list(names)
    if absent := missing(conf, found):
        return f"{absent[0]} is not loaded"
    if others := strays(conf, found, {base(name) for name in conf.connections}):
        path = KEY_PATH if base(others[0]) == "key" else PATH
        return f"{others[0]} is loaded, and {path} has no such connection"
    return ""
