"""The Debian releases that guests can have, by the names that AMIs and users use."""

from dataclasses import dataclass

DEFAULT = "debian-13"


class UnknownReleaseError(LookupError):
    """There is no guest image with a name; the message names the existing ones."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A Debian release as a guest."""

    name: str
    """Start of the AMI's name, e.g. `debian-13`."""
    codename: str
    dhcp_client: str
    """Package of the DHCP client that this release's cloud-init calls to reach the metadata service."""


_RELEASES = {
    release.name: release
    for release in (
        Release(name="debian-12", codename="bookworm", dhcp_client="isc-dhcp-client"),
        Release(name="debian-13", codename="trixie", dhcp_client="dhcpcd-base"),
    )
}


def find(name: str) -> Release:
    """Return the release with a name (`debian-12`, `debian-13`); raise UnknownReleaseError for any other name."""
    if name not in _RELEASES:
        raise UnknownReleaseError(f"lab: there is no guest image {name!r}; there are {', '.join(names())}")
    return _RELEASES[name]


def names() -> list[str]:
    """Return the names of all releases."""
    return sorted(_RELEASES)


def of_image(image_name: str) -> Release:
    """Return the release of an AMI with a name like `debian-13-amd64-20260901-1234`; raise UnknownReleaseError."""
    return find("-".join(image_name.split("-")[:2]))
