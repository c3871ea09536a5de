"""Families of samples, as Prometheus has them, in a form that goes from one process to another."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """What a number may do from one look to the next."""

    COUNTER = "counter"
    """It only grows, until the process starts anew."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Combine(StrEnum):
    """What the numbers of several processes are together."""

    SUM = "sum"
    LARGEST = "largest"
    SMALLEST = "smallest"


class Sample(Struct, array_like=True):
    """One series at one moment."""

    labels: tuple[str, ...]
    values: list[float]
    """One number; of a histogram how many fell into each bucket, the last of which has no bound, and their sum."""


class Family(Struct, array_like=True):
    """All series of one name."""

    name: str
    """Without the `_total` that Prometheus has at the end of a counter's."""
    kind: Kind
    help: str
    samples: list[Sample]
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Of a histogram's buckets, each inclusive."""
    combine: Combine = Combine.SUM

    @classmethod
    def number(
        cls, name: str, told: str, value: float, *, kind: Kind = Kind.GAUGE, combine: Combine = Combine.SUM
    ) -> "Family":
        """Return a family of one number without labels."""
        return cls(name, kind, told, [Sample((), [float(value)])], combine=combine)


def combined(families: Iterable[Family]) -> list[Family]:
    """Return the families of several processes as those of one, each name once."""
    found: dict[str, tuple[Family, dict[tuple[str, ...], list[float]]]] = {}
    for family in families:
        _, series = found.setdefault(family.name, (family, {}))
        for sample in family.samples:
            before = series.get(sample.labels)
            series[sample.labels] = _together(before, sample.values, family.combine) if before else sample.values
    return [
        Family(
            family.name,
            family.kind,
            family.help,
            [Sample(labels, values) for labels, values in series.items()],
            family.labels,
            family.bounds,
            family.combine,
        )
        for family, series in found.values()
    ]


def _together(before: list[float], after: list[float], combine: Combine) -> list[float]:
    if combine is Combine.SUM:
        return [one + other for one, other in zip(before, after, strict=True)]
    choose = max if combine is Combine.LARGEST else min
    return [choose(one, other) for one, other in zip(before, after, strict=True)]
