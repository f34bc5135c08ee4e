"""Pure decisions about when gateways install security updates."""

from dataclasses import dataclass
from typing import Final

WINDOW_MINUTES: Final = 120
"""How long a window is."""

TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]"
"""A pattern of the times of a day that begin a window."""

_UPGRADE: Final = 5
"""Minutes from the window's begin. The package lists are fetched at its begin."""

_LOOKS: Final = (30, 60, 90)
"""Minutes from the window's begin. A reboot that has to wait gets another chance, and a boot fits after the last."""

_DAY: Final = 24 * 60


@dataclass(frozen=True, kw_only=True)
class UpdateTimes:
    """When a gateway does what, once a day. Each time is `hh:mm` in UTC."""

    begin: str
    """The window's begin, when the package lists are fetched."""
    end: str
    upgrade: str
    looks: tuple[str, ...]
    """When the gateway looks whether the updates need a restart of something, or a reboot."""


def update_times(window: str) -> UpdateTimes:
    """Return the times of a gateway whose window begins at this time."""
    return UpdateTimes(
        begin=window,
        end=later(window, WINDOW_MINUTES),
        upgrade=later(window, _UPGRADE),
        looks=tuple(later(window, minutes) for minutes in _LOOKS),
    )


def windows_overlap(one: str, other: str) -> bool:
    """Return whether two windows that begin at these times have a minute in common."""
    apart = (_minute(other) - _minute(one)) % _DAY
    return min(apart, _DAY - apart) < WINDOW_MINUTES


def later(time: str, minutes: int) -> str:
    """Return the time of the day so many minutes later."""
    minute = (_minute(time) + minutes) % _DAY
    return f"{minute // 60:02}:{minute % 60:02}"


def _minute(time: str) -> int:
    hours, minutes = time.split(":")
    return 60 * int(hours) + int(minutes)
