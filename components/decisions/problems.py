"""A problem with a setting: what is wrong with its value, and what to write instead."""

from dataclasses import dataclass
from typing import Final

SECRET: Final = "(secret)"  # noqa: S105 - printed in place of a secret value


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One rule that the value of one setting breaks.

    Names of settings are paths of arguments, e.g. `left.cidr_block`. In `rule` and `remedy` they are in backticks, so
    that the program can replace them by the keys of the stack's configuration.
    """

    setting: str
    """Path of the setting, e.g. `left.cidr_block`."""
    value: str
    """The value as the caller wrote it; never a secret."""
    rule: str
    """What the value breaks."""
    remedy: str
    """What to write instead."""

    def __str__(self) -> str:
        return f"{self.setting} {self.value!r}: {self.rule}; {self.remedy}"
