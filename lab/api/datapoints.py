"""Raw values of a metric -> one datapoint per period. Pure.

Periods begin at multiples of their length since the epoch. Source:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One published value, or the statistics of several."""

    time: float
    """Seconds since the epoch."""
    count: float
    total: float
    smallest: float
    largest: float


_STATISTICS: Final[Mapping[str, Callable[[Sequence[Sample]], float]]] = {
    "SampleCount": lambda samples: sum(each.count for each in samples),
    "Sum": lambda samples: sum(each.total for each in samples),
    "Average": lambda samples: sum(each.total for each in samples) / sum(each.count for each in samples),
    "Minimum": lambda samples: min(each.smallest for each in samples),
    "Maximum": lambda samples: max(each.largest for each in samples),
}
STATISTICS: Final = frozenset(_STATISTICS)
"""Percentiles and metric math are not supported."""


def aggregate(samples: Iterable[Sample], period: int, statistics: Iterable[str]) -> dict[float, dict[str, float]]:
    """Return the statistics of each period that has samples, by the period's begin, in ascending order."""
    periods: dict[float, list[Sample]] = defaultdict(list)
    for each in samples:
        periods[each.time // period * period].append(each)
    names = list(statistics)
    return {begin: {name: _STATISTICS[name](periods[begin]) for name in names} for begin in sorted(periods)}
