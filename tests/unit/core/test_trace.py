"""Which trace a request belongs to (W3C Trace Context)."""

import re

import pytest

from leasehold.core.trace import Trace, current_trace, trace_of, tracing

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("traceparent", "is_sampled"),
    [
        (f"00-{TRACE_ID}-{PARENT}-01", True),
        (f"00-{TRACE_ID}-{PARENT}-00", False),
        (f"00-{TRACE_ID}-{PARENT}-03", True),
        (f"cc-{TRACE_ID}-{PARENT}-01", True),
        (f"cc-{TRACE_ID}-{PARENT}-01-what-comes-later", True),
    ],
)
def test_a_trace_that_is_named_goes_on(traceparent: str, is_sampled: bool) -> None:
    assert trace_of(traceparent, request_id="a") == Trace(TRACE_ID, is_sampled, "a", PARENT)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        TRACE_ID,
        f"00-{TRACE_ID}-{PARENT}",
        f"00-{TRACE_ID}-{PARENT}-01-more",
        f"00-{TRACE_ID}-{PARENT}-01-",
        f"cc-{TRACE_ID}-{PARENT}-01more",
        f"ff-{TRACE_ID}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID.upper()}-{PARENT}-01",
        f"00-{TRACE_ID}-{PARENT}-01\n",
        f" 00-{TRACE_ID}-{PARENT}-01",
    ],
)
def test_what_names_no_trace_begins_one(traceparent: str | None) -> None:
    begun = trace_of(traceparent)
    assert re.fullmatch("[0-9a-f]{32}", begun.trace_id)
    assert begun.trace_id != TRACE_ID
    assert not begun.is_sampled


def test_what_is_handed_on_names_the_trace_and_a_new_place_in_it() -> None:
    for is_sampled, flags in ((True, "01"), (False, "00")):
        trace = Trace(TRACE_ID, is_sampled)
        first, second = trace.traceparent(), trace.traceparent()
        assert re.fullmatch(f"00-{TRACE_ID}-[0-9a-f]{{16}}-{flags}", first)
        assert first != second
        assert trace_of(first)._replace(parent_id=None) == trace


def test_there_is_a_trace_as_long_as_something_is_traced() -> None:
    outer, inner = Trace("a"), Trace("b")
    assert current_trace() is None
    with tracing(outer):
        with tracing(inner):
            assert current_trace() is inner
        assert current_trace() is outer
    assert current_trace() is None
