"""When all is as before: by when requests were due, not by when they were sent."""

from faults.journal import Entry
from faults.latency import back_after_s, p99_s, percentile


def asked(due: float, *, takes_s: float = 0.01, status: int = 200, attempt: int = 1) -> Entry:
    return Entry("answered", due + takes_s, "list", "acme", 1, attempt=attempt, due=due, status=status)


def steadily(begins: float, ends: float, **more: float) -> list[Entry]:
    return [asked(begins + step / 20, **more) for step in range(round((ends - begins) * 20))]  # type: ignore[arg-type]


def test_a_percentile_is_the_value_that_so_many_do_not_exceed() -> None:
    assert percentile([float(number) for number in range(1, 101)], 0.99) == 99.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert percentile([], 0.99) == 0.0


def test_a_time_counts_first_attempts_alone() -> None:
    entries = [*steadily(0, 2), asked(1, takes_s=9, attempt=2), asked(5, takes_s=9)]
    assert round(p99_s(entries, begins=0, ends=2), 3) == 0.01


def test_it_is_back_with_the_first_window_from_which_on_all_is_well() -> None:
    entries = [*steadily(0, 2, status=503), *steadily(2, 3, takes_s=0.5), *steadily(3, 6)]
    assert back_after_s(entries, harmed_until=0) is not None
    assert round(back_after_s(entries, harmed_until=0) or 0, 1) == 2.0
    assert round(back_after_s(entries, harmed_until=0, within_s=0.1) or 0, 1) == 3.0


def test_it_is_not_back_while_anything_fails_later() -> None:
    entries = [*steadily(0, 4), asked(4.0, status=503), *steadily(4.05, 4.5)]
    assert back_after_s(entries, harmed_until=0) is None
    assert back_after_s([], harmed_until=0) is None
