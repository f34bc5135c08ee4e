"""The Debian archives that this host's apt uses. The guest is built from the same ones, so none is named here."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_POCKETS = ("", "-updates", "-security")
_ONE_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+\S")


class NoSourcesError(Exception):
    """The host's apt has no Debian archive."""


@dataclass(frozen=True)
class Source:
    """One archive and one of its suites."""

    uri: str
    suite: str


def debian_sources(codename: str, *, root: Path = Path("/")) -> list[str]:
    """Return sources.list(5) lines for the release `codename`, from the archives that the apt under `root` uses.

    Raises NoSourcesError when apt has no archive for the host's own release, e.g. because the host is not Debian.
    """
    own = _own_codename(root)
    pockets = {f"{base}{pocket}": pocket for base in (own, "stable", "oldstable") for pocket in _POCKETS}
    # A dictionary keeps the order and drops duplicates.
    lines = {
        f"deb [signed-by={_KEYRING}] {source.uri} {codename}{pockets[source.suite]} main": None
        for source in _sources(root)
        if source.suite in pockets
    }
    if not any(line.endswith(f" {codename} main") for line in lines):
        raise NoSourcesError(
            f"lab: {root / 'etc/apt'} names no archive for the suite {own!r}, so there is nothing to build the guest "
            "image from; the lab needs a Debian 12 or 13 host whose `apt-get update` works"
        )
    return list(lines)


def _own_codename(root: Path) -> str:
    match = re.search(r"^VERSION_CODENAME=\"?(\w+)", (root / "etc/os-release").read_text(), re.MULTILINE)
    return match.group(1) if match else ""


def _sources(root: Path) -> Iterator[Source]:
    parts = root / "etc/apt/sources.list.d"
    for path in (root / "etc/apt/sources.list", *sorted(parts.glob("*.list"))):
        if path.is_file():
            yield from _one_line_format(path.read_text().splitlines())
    for path in sorted(parts.glob("*.sources")):
        yield from _deb822_format(path.read_text())


def _one_line_format(lines: Iterable[str]) -> Iterator[Source]:
    for line in lines:
        if match := _ONE_LINE.match(line):
            yield Source(match["uri"], match["suite"])


def _deb822_format(text: str) -> Iterator[Source]:
    """Yield the sources of a file in the format of deb822(5), without disabled stanzas."""
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", without_comments):
        fields = {
            name.lower(): value.split()
            for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        enabled = [word.lower() for word in fields.get("enabled", ["yes"])] in (["yes"], ["true"], ["1"], ["on"])
        if enabled and "deb" in fields.get("types", []):
            for uri in fields.get("uris", []):
                for suite in fields.get("suites", []):
                    yield Source(uri, suite)
