"""What processes count, and how it is added up."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.figures import (
    Combine,
    Family,
    Histogram,
    Kind,
    RequestFigures,
    Sample,
    TenantFigures,
    TenantTotal,
    combined,
)

_BUSY, _QUIET, _NEW = UUID(int=1), UUID(int=2), UUID(int=3)


def _told(figures: TenantFigures) -> dict[str, float]:
    """Return the requests of each tenant that has a series, and of the others."""
    return {sample.labels[1]: sample.values[0] for sample in figures.families()[0].samples}


def _take(figures: TenantFigures, process: str, **requests: int) -> None:
    ids = {"busy": _BUSY, "quiet": _QUIET, "new": _NEW}
    figures.take(process, [TenantTotal(ids[slug], slug, [float(n), 0, 0, 0]) for slug, n in requests.items()])


def test_a_value_falls_into_the_first_bucket_that_is_not_below_it() -> None:
    histogram = Histogram((0.5, 1.0))
    for value in (0.25, 0.5, 0.75, 2.0):
        histogram.observe(value)
    assert histogram.values() == [2, 1, 1, 3.5]


def test_sums_are_added_over_processes_and_the_worst_of_them_counts_where_that_is_what_is_told() -> None:
    def one(name: str, value: float, combine: Combine) -> Family:
        return Family.number(name, "", value, combine=combine)

    each = [
        [one("size", 3, Combine.SUM), one("age", 1, Combine.LARGEST), one("listens", 1, Combine.SMALLEST)],
        [one("size", 4, Combine.SUM), one("age", 9, Combine.LARGEST), one("listens", 0, Combine.SMALLEST)],
        [Family("size", Kind.GAUGE, "", [Sample(("elsewhere",), [1.0])], ("where",))],
    ]
    found = {family.name: family.samples for family in combined(family for one in each for family in one)}
    assert found == {
        "size": [Sample((), [7.0]), Sample(("elsewhere",), [1.0])],
        "age": [Sample((), [9.0])],
        "listens": [Sample((), [0.0])],
    }


def test_what_clients_make_up_is_no_series_however_much_of_it_there_is() -> None:
    figures = RequestFigures()
    for number in range(1000):
        figures.in_flight += 2
        figures.answered(None, f"M{number}", 404, 0.1)
        figures.answered("/v1/items", f"M{number}", 405, 0.1)
    answered, seconds, in_flight = figures.families()
    assert sorted((sample.labels, sample.values) for sample in answered.samples) == [
        (("other", "/v1/items", "4xx"), [1000]),
        (("other", "unmatched", "4xx"), [1000]),
    ]
    assert len(seconds.samples) == 2
    assert in_flight.samples == [Sample((), [0.0])]


def test_a_tenant_that_is_chosen_anew_goes_on_where_its_series_ended() -> None:
    figures = TenantFigures(series=1)
    _take(figures, "one", busy=10, quiet=1)
    assert _told(figures) == {"other": 11}
    _take(figures, "one", busy=15, quiet=2)
    _take(figures, "two", busy=100)
    assert _told(figures) == {"busy": 105, "other": 12}
    _take(figures, "one", new=1000)
    assert _told(figures) == {"busy": 105, "other": 1012}
    _take(figures, "one", new=1001, busy=16)
    assert _told(figures) == {"new": 1, "other": 1013}
    _take(figures, "one", busy=5000)
    _told(figures)
    _take(figures, "one", busy=5001)
    assert _told(figures) == {"busy": 106, "other": 5997}


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["one", "two"]), st.dictionaries(st.integers(1, 6), st.integers(0, 50), min_size=1, max_size=6)
    ),
    max_size=30,
)


@given(steps=_STEPS, series=st.integers(1, 3))
def test_no_series_ever_falls_and_none_is_lost(steps: list[tuple[str, dict[int, int]]], series: int) -> None:
    figures, totals, last = TenantFigures(series=series), dict[tuple[str, int], int](), dict[str, float]()
    shown = dict[str, float]()
    for process, grown in steps:
        for tenant, more in grown.items():
            totals[process, tenant] = totals.get((process, tenant), 0) + more
        figures.take(
            process,
            [TenantTotal(UUID(int=tenant), str(tenant), [float(totals[process, tenant]), 0, 0, 0]) for tenant in grown],
        )
        last = _told(figures)
        assert len(last) <= series + 1
        assert all(last[slug] >= before for slug, before in shown.items() if slug in last)
        shown |= last
    assert sum(shown.values()) == sum(totals.values())
