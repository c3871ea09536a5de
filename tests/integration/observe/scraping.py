"""Fetches figures as Prometheus does."""

from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

_SERIES_OF = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


@dataclass(frozen=True, slots=True)
class Observed:
    """A server of two processes, with a worker inside."""

    address: str
    port: int
    """Where it tells its figures."""
    folder: Path
    """Where its processes meet."""


class Figures:
    """All series of one look."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        samples = [sample for family in families for sample in family.samples]
        self.families = {family.name: family for family in families}
        self.names = {family.name + ending for family in families for ending in _SERIES_OF.get(family.type, ("",))}
        """Of all series that there can be, also of what has not been counted yet."""
        self.series = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
        assert len(self.series) == len(samples)

    def one(self, name: str, **labels: str) -> float:
        """Return the value of a series, 0 where there is none."""
        return self.series.get((name, tuple(sorted(labels.items()))), 0.0)

    def labels(self, name: str, label: str) -> set[str]:
        """Return the values that a label has in the series of a name."""
        return {value for series, labels in self.series if series == name for key, value in labels if key == label}


async def scraped(port: int) -> Figures:
    """Return the figures that are told on a port."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Figures(answer.text)
