"""Figures in Prometheus' words, and the port on which it fetches them."""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from leasehold.core.figures import Family, Kind, Sample

Families = Callable[[], Iterable[Family]]


class _Figures(Collector):
    """Asks for the figures whenever Prometheus does."""

    def __init__(self, families: Families) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        """Say nothing in advance, so that nobody is asked at start."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Return all families."""
        return map(_metric, self._families())


def registry_of(families: Families) -> CollectorRegistry:
    """Return a registry of figures."""
    registry = CollectorRegistry()
    registry.register(_Figures(families))
    return registry


def text_of(families: Families) -> bytes:
    """Return figures in Prometheus' text format."""
    return generate_latest(registry_of(families))


def serve_figures(families: Families, *, host: str, port: int) -> None:
    """Answer Prometheus on a port of its own, from threads that end with the process.

    Raises:
        OSError: the port is taken.
    """
    start_http_server(port, host, registry_of(families))


def _metric(family: Family) -> Metric:
    if family.kind is Kind.COUNTER:
        counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
        for sample in family.samples:
            counter.add_metric(sample.labels, sample.values[0])
        return counter
    if family.kind is Kind.GAUGE:
        gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
        for sample in family.samples:
            gauge.add_metric(sample.labels, sample.values[0])
        return gauge
    histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for sample in family.samples:
        histogram.add_metric(sample.labels, _buckets(family, sample), sample.values[-1])
    return histogram


def _buckets(family: Family, sample: Sample) -> list[tuple[str, float]]:
    """Return how many fell into each bucket or a smaller one, as Prometheus wants it."""
    bounds = [*map(str, family.bounds), "+Inf"]
    return list(zip(bounds, accumulate(sample.values[:-1]), strict=True))
