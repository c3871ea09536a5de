"""Quotas in one process, by a clock that the tests move."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.quotas.limits import SECOND, Limits, Policy, Window
from leasehold.core.quotas.memory import ProcessQuotas, Recent

windows = st.builds(Window, st.integers(1, 40), st.integers(1, 60))
gaps = st.lists(st.one_of(st.just(0), st.integers(0, 3 * SECOND), st.integers(0, 90 * SECOND)), max_size=150)


def limits_of(*windows: Window) -> Limits:
    return Limits(Policy("client", windows))


@given(windows, gaps)
def test_no_more_pass_in_any_time_than_a_full_quota_and_what_is_earned_meanwhile(
    window: Window, gaps: list[int]
) -> None:
    quotas, limits, now, passed = ProcessQuotas(), limits_of(window), 0, list[int]()
    for gap in gaps:
        now += gap
        if quotas.take(limits, ("a",), now)[0]:
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= window.requests + (passed[last] - start) // window.interval


@given(st.lists(windows, min_size=1, max_size=3), gaps)
def test_who_keeps_within_every_window_is_never_refused(windows: list[Window], gaps: list[int]) -> None:
    quotas, limits, now, sent = ProcessQuotas(), limits_of(*windows), 0, list[int]()
    for gap in gaps:
        now += gap
        if all(sum(at > now - one.seconds * SECOND for at in sent) < one.requests for one in windows):
            sent.append(now)
            assert quotas.take(limits, ("a",), now)[0]


@given(windows, gaps)
def test_who_waits_as_long_as_told_is_let_in(window: Window, gaps: list[int]) -> None:
    quotas, limits, now = ProcessQuotas(), limits_of(window), 0
    for gap in gaps:
        now += gap
        granted, whole_at = quotas.take(limits, ("a",), now)
        if not granted:
            now += int(limits.refusal(whole_at, now).headers["Retry-After"]) * SECOND
            assert quotas.take(limits, ("a",), now)[0]


def test_a_quota_lets_its_number_through_at_once_and_then_one_at_a_time() -> None:
    quotas, limits = ProcessQuotas(), limits_of(Window(5, 10))
    assert [quotas.take(limits, ("a",), 0)[0] for _ in range(8)] == [True] * 5 + [False] * 3
    assert not quotas.take(limits, ("a",), 2 * SECOND - 1)[0]
    assert [quotas.take(limits, ("a",), 2 * SECOND)[0] for _ in range(2)] == [True, False]
    assert [quotas.take(limits, ("a",), 12 * SECOND)[0] for _ in range(6)] == [True] * 5 + [False]


def test_each_window_holds() -> None:
    quotas, limits = ProcessQuotas(), limits_of(Window(2, 1), Window(3, 3600))
    seconds = [0, 0, 0, 1, 1, 2, 3]
    assert [quotas.take(limits, ("a",), at * SECOND)[0] for at in seconds] == [True, True, False, True, *[False] * 3]


def test_a_refused_request_uses_no_quota() -> None:
    """Or a client that is refused would use up what its tenant has, and keep itself shut out."""
    limits = Limits(Policy("client", (Window(1, 100),)), Policy("tenant", (Window(3, 100),)))
    quotas = ProcessQuotas()
    assert [quotas.take(limits, ("a", "t"), 0)[0] for _ in range(50)] == [True] + [False] * 49
    assert [quotas.take(limits, (name, "t"), 0)[0] for name in "bcd"] == [True, True, False]
    assert quotas.take(limits, ("a", "t"), 100 * SECOND)[0]


def test_quotas_of_different_keys_are_apart() -> None:
    quotas, limits = ProcessQuotas(), limits_of(Window(1, 100))
    assert [quotas.take(limits, (key,), 0)[0] for key in [(1, 2), (2, 2), (1, 3), (1, 2)]] == [True, True, True, False]


def test_a_changed_policy_begins_with_a_whole_quota_and_an_equal_one_goes_on() -> None:
    quotas = ProcessQuotas()
    assert quotas.take(limits_of(Window(1, 100)), ("a",), 0)[0]
    assert not quotas.take(limits_of(Window(1, 100)), ("a",), 0)[0]
    assert quotas.take(limits_of(Window(2, 100), Window(9, 1000)), ("a",), 0)[0]


def test_what_is_remembered_is_bounded_and_what_is_used_is_kept() -> None:
    recent = Recent[int](100)
    recent.keep("busy", 1)
    for number in range(10_000):
        recent.keep(number, number)
        assert recent.get("busy") == 1
        assert len(recent) <= 200
    assert recent.get(9_999) == 9_999
    assert recent.get(5_000) is None


def test_a_flood_of_keys_of_one_kind_leaves_those_of_another_alone() -> None:
    quotas = ProcessQuotas(most=10)
    tenant, address = Limits(Policy("tenant", (Window(1, 100),))), Limits(Policy("address", (Window(1, 100),)))
    assert quotas.take(tenant, ("t",), 0)[0]
    for number in range(1000):
        assert quotas.take(address, (number,), 0)[0]
    assert not quotas.take(tenant, ("t",), 0)[0]
    assert len(quotas) <= 21


@pytest.mark.parametrize("most", [500])
def test_memory_stays_flat_however_many_ask(most: int) -> None:
    quotas, limits = ProcessQuotas(most), Limits(Policy("client", (Window(9, 10), Window(99, 3600))))
    sizes: list[int] = []
    tracemalloc.start()
    try:
        for number in range(20 * most):
            quotas.take(limits, ((number, number << 100),), number)
            if number % (2 * most) == 2 * most - 1:
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes[2:]) < 1.5 * min(sizes[2:])
