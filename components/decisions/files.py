"""A file of a gateway, as user data and remote commands bring it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """A file on a gateway, owned by root."""

    path: str
    mode: int
    text: str
