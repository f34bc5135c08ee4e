"""Metrics: the published values, and statistics of them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import CloudWatchBackend, MetricDatumBase
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from lab.api.corrections import corrects
from lab.api.datapoints import STATISTICS, Sample, aggregate

_PAGES: Final = "AmazonCloudWatch/latest/APIReference"
_OLDEST: Final = timedelta(weeks=2)
_NEWEST: Final = timedelta(hours=2)
_KEPT: Final = timedelta(days=1)
"""How long the lab keeps values. AWS keeps them for 15 months."""

Dimensions = frozenset[tuple[str, str]]


class MetricBackend(CloudWatchBackend):
    """A region's metrics."""

    @corrects("A value may be two weeks old and two hours early, but not more.", f"{_PAGES}/API_PutMetricData.html")
    def put_metric_data(self, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        now = utcnow()
        for number, datum in enumerate(metric_data, 1):
            if not now - _OLDEST <= (datum.get("Timestamp") or now) <= now + _NEWEST:
                raise InvalidParameterValue(
                    f"The parameter MetricData.member.{number}.Timestamp must specify a time no more than two weeks in "
                    "the past and no more than two hours in the future."
                )
        self.metric_data = [each for each in self.metric_data if each.timestamp > now - _KEPT]
        super().put_metric_data(namespace, metric_data)

    def samples(self, namespace: str, name: str, dimensions: Dimensions) -> Iterator[Sample]:
        """Yield the values of one metric, which is identified by exactly these dimensions."""
        for datum in self.metric_data:
            if (datum.namespace, datum.name) == (namespace, name) and dimensions_of(datum.dimensions) == dimensions:
                yield _sample(datum)


class MetricResponse(CloudWatchResponse):
    """PutMetricData, GetMetricStatistics and GetMetricData."""

    @corrects("A namespace of AWS (AWS/...) cannot be published to.", f"{_PAGES}/API_PutMetricData.html")
    def put_metric_data(self) -> ActionResult:
        if str(self._get_param("Namespace")).startswith("AWS/"):
            raise InvalidParameterValue("The value AWS/ for parameter Namespace is invalid.")
        return super().put_metric_data()

    @corrects(
        "A metric is identified by exactly its dimensions, and periods begin at multiples of their length.",
        f"{_PAGES}/API_GetMetricStatistics.html",
    )
    def get_metric_statistics(self) -> ActionResult:
        statistics = self._get_param("Statistics", [])
        found = self._statistics(self._get_params(), self._get_param("Period"), statistics)
        datapoints = [{"Timestamp": _moment(begin), **values} for begin, values in found]
        return ActionResult({"Label": self._get_param("MetricName"), "Datapoints": datapoints})

    @corrects(
        "A metric is identified by exactly its dimensions, and periods begin at multiples of their length.",
        f"{_PAGES}/API_GetMetricData.html",
    )
    def get_metric_data(self) -> ActionResult:
        results = [self._result(query) for query in self._get_param("MetricDataQueries", [])]
        return ActionResult({"MetricDataResults": results})

    def _result(self, query: dict[str, Any]) -> dict[str, Any]:
        if "MetricStat" not in query:
            raise NotImplementedError("metric math and Metrics Insights")
        wanted = query["MetricStat"]
        found = self._statistics(wanted["Metric"], wanted["Period"], [wanted["Stat"]])
        if self._get_param("ScanBy") != "TimestampAscending":
            found.reverse()
        return {
            "Id": query["Id"],
            "Label": query.get("Label") or wanted["Metric"]["MetricName"],
            "StatusCode": "Complete",
            "Timestamps": [_moment(begin) for begin, _ in found],
            "Values": [values[wanted["Stat"]] for _, values in found],
        }

    def _statistics(
        self, metric: dict[str, Any], period: int, statistics: Iterable[str]
    ) -> list[tuple[float, dict[str, float]]]:
        """Return the statistics of a metric in the periods that begin in the time that the request names."""
        if unknown := set(statistics) - STATISTICS:
            raise NotImplementedError(f"the statistics {sorted(unknown)}")
        backend: Any = self.cloudwatch_backend
        dimensions = frozenset((each["Name"], each["Value"]) for each in metric.get("Dimensions") or [])
        samples = backend.samples(metric["Namespace"], metric["MetricName"], dimensions)
        start, end = (seconds(self._get_param(name)) for name in ("StartTime", "EndTime"))
        if start >= end:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        found = aggregate(samples, period, statistics)
        return [(begin, values) for begin, values in found.items() if start // period * period <= begin < end]


def dimensions_of(dimensions: Iterable[Any]) -> Dimensions:
    """Return the dimensions of an object of moto."""
    return frozenset((each.name, each.value) for each in dimensions)


def seconds(moment: datetime) -> float:
    """Return the seconds since the epoch of a time of moto, which is in UTC without saying so."""
    return moment.replace(tzinfo=UTC).timestamp()


def _moment(time: float) -> datetime:
    return datetime.fromtimestamp(time, UTC).replace(tzinfo=None)


def _sample(datum: MetricDatumBase) -> Sample:
    each: Any = datum
    time = seconds(datum.timestamp)
    if hasattr(each, "value"):
        return Sample(time=time, count=1, total=each.value, smallest=each.value, largest=each.value)
    return Sample(time=time, count=each.sample_count, total=each.sum, smallest=each.min, largest=each.max)
