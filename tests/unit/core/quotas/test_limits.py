"""What clients are told of their limits, in the form of draft-ietf-httpapi-ratelimit-headers-11."""

import pytest

from leasehold.core.quotas.limits import SECOND, Limits, Policy, Window

LIMITS = Limits(
    Policy("client", (Window(100, 10), Window(1000, 3600))),
    Policy("tenant", (Window(5000, 60),)),
)
WHOLE = [0, 0, 0]


def test_the_policies_are_told_by_name_quota_and_window() -> None:
    assert LIMITS.policy_header == b'"client-10s";q=100;w=10, "client-1h";q=1000;w=3600, "tenant-1m";q=5000;w=60'


@pytest.mark.parametrize(
    ("seconds", "name"), [(1, "x-1s"), (90, "x-90s"), (60, "x-1m"), (5400, "x-90m"), (3600, "x-1h"), (172_800, "x-2d")]
)
def test_a_window_is_named_by_its_largest_unit(seconds: int, name: str) -> None:
    assert Policy("x", (Window(1, seconds),)).names == (name,)


def test_what_is_left_is_told_with_the_time_until_there_is_more() -> None:
    used = [SECOND, 36 * SECOND // 10, 0]
    assert LIMITS.header(used) == b'"client-10s";r=90;t=1, "client-1h";r=999;t=4, "tenant-1m";r=5000;t=1'


def test_times_are_rounded_up_for_who_comes_too_early_is_refused() -> None:
    one = Limits(Policy("client", (Window(10, 100),)))
    assert one.header([90 * SECOND]) == b'"client-100s";r=1;t=10'
    assert one.header([90 * SECOND + 1]) == b'"client-100s";r=0;t=1'
    assert one.header([99 * SECOND]) == b'"client-100s";r=0;t=9'


def test_a_refusal_names_the_windows_without_room_and_waits_for_the_last_of_them() -> None:
    refusal = LIMITS.refusal([10 * SECOND, 3600 * SECOND, 0])
    assert (refusal.status, refusal.type) == (429, "quota-exceeded")
    assert refusal.extensions == {"violated-policies": ["client-10s", "client-1h"]}
    assert refusal.headers == {"Retry-After": "4"}
    assert "in 4 seconds" in refusal.detail


def test_a_refusal_waits_no_shorter_than_the_header_says() -> None:
    """Section 6 of the draft: Retry-After must not be before the end of the effective window."""
    one = Limits(Policy("client", (Window(7, 3600),)))
    used = one.rates[0][1] - 1
    assert one.header([used]) == b'"client-1h";r=0;t=515'
    assert one.refusal([used]).headers["Retry-After"] == "515"


def test_a_policy_without_windows_limits_nothing() -> None:
    limits = Limits(Policy("client", ()), Policy("tenant", (Window(5, 1),)))
    assert limits.policy_header == b'"tenant-1s";q=5;w=1'
    assert Limits(Policy("client", ())).rates == ()
