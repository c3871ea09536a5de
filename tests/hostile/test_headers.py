"""Headers, whatever they say: each is read, or refused in the way that its parser says."""

import re
import time
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.types import Scope

from leasehold.core.compression import wants_gzip
from leasehold.core.errors import InvalidToken, Problem
from leasehold.core.idempotency.key import InvalidIdempotencyKey, parse_key
from leasehold.core.preconditions import InvalidIfMatch, Precondition, PreconditionFailed, entity_tag, is_known
from leasehold.core.quotas.limits import Limits, Policy, Window
from leasehold.core.trace import trace_of
from leasehold.http.address import client_address, forwarded_scheme
from leasehold.http.cors import AllowedOrigins
from leasehold.http.gates import bearer_token
from leasehold.tenancy import resolve
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.directory import TenantDirectory
from leasehold.tenancy.names import InvalidSlug, check_slug
from leasehold.tenancy.resolve import hostname_of, resolve_tenant
from leasehold.tenancy.window import RevisionWindow
from leasehold.workspace.items.schemas import Item
from tests.hostile.profiles import ENDURING

_ID = UUID("0199a1f0-0000-7000-8000-000000000002")
_ROW = cast("Any", type("Row", (), {"id": _ID, "version": 1, "updated_at": 0, "owner_id": None}))
_TAG = entity_tag(_ROW, Item.tagged_by)
_BASE = "leasehold.test"
_WINDOW = RevisionWindow(known=("0001",), served=("0001",))
_TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

sent = st.text(st.characters(max_codepoint=255))
"""A header as a gate sees it: bytes, each of which is one letter."""


def _near(*parts: str) -> st.SearchStrategy[str]:
    """Return what somebody would try who knows how the header looks."""
    return st.lists(st.sampled_from([*parts, "", " ", ",", '"', "\t", "\xff", "%"]), max_size=12).map("".join)


@ENDURING
@given(header=st.one_of(sent, _near('"', "\\", "key", '"key"', "é", "\x7f")))
def test_an_idempotency_key_is_read_or_refused_and_is_itself_when_it_is_written_again(header: str) -> None:
    try:
        key = parse_key(header)
    except InvalidIdempotencyKey:
        return
    assert 1 <= len(key) <= 255
    assert key.isascii()
    assert key.isprintable()
    quoted = '"' + key.replace("\\", r"\\").replace('"', r"\"") + '"'
    assert parse_key(quoted) == key


@ENDURING
@given(header=st.one_of(sent, _near("W/", '"a"', "*", '"a.b"')))
def test_no_if_match_lets_a_change_through_that_does_not_name_its_tag(header: str) -> None:
    if header.strip() == "*":
        Precondition(header).demand(_ROW, Item.tagged_by)
        return
    with pytest.raises((InvalidIfMatch, PreconditionFailed)):
        Precondition(header).demand(_ROW, Item.tagged_by)
    assert not is_known(header, _TAG)


@ENDURING
@given(others=st.lists(st.from_regex(r'(W/)?"[!#-~]{0,9}"', fullmatch=True), max_size=4), place=st.integers(0, 4))
def test_a_tag_is_found_among_others(others: list[str], place: int) -> None:
    header = ", ".join([*others[:place], _TAG, *others[place:]])
    Precondition(header).demand(_ROW, Item.tagged_by)
    assert is_known(header, _TAG)


@ENDURING
@given(header=st.one_of(sent, _near("00-", "ff-", "0" * 32, "a" * 32, "-" + "b" * 16, "-01", "-")))
def test_a_trace_is_taken_over_or_begun(header: str) -> None:
    trace = trace_of(header)
    assert re.fullmatch("[0-9a-f]{32}", trace.trace_id)
    assert trace.trace_id != "0" * 32
    assert trace_of(trace.traceparent()).trace_id == trace.trace_id


@ENDURING
@given(value=st.one_of(st.binary(), _near("gzip", "x-gzip", "*", ";q=", "0", "0.", "1", ";").map(str.encode)))
def test_accept_encoding_says_yes_or_no(value: bytes) -> None:
    assert wants_gzip([(b"accept-encoding", value)]) in {True, False}


@ENDURING
@given(
    origin=st.one_of(sent, _near("https://", "http://", "evil.example", ".example.com", "a", "@", "/", ":1", "null"))
)
def test_no_origin_is_allowed_but_those_that_are_named(origin: str) -> None:
    allowed = AllowedOrigins("https://app.example, https://*.example.com")
    is_below = re.fullmatch(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*\.example\.com", origin) is not None
    assert allowed.allow(origin) == (is_below or origin == "https://app.example")


def _directory() -> TenantDirectory:
    made = TenantDirectory(max_age_s=1000)
    for number, slug in enumerate(("acme", "globex"), start=1):
        tenant = TenantRef(UUID(int=number), slug, f"t_{number}", f"lh_t_{number}", TenantState.ACTIVE, "0001")
        made.put(tenant, [f"app.{slug}.example"])
    made.confirm(time.monotonic())
    return made


_HOSTS = _near("acme", "globex", ".leasehold.test", "app.acme.example", "[::1]", ":80", "@", "/", "..", "ACME", "\x00")


@ENDURING
@given(
    host=st.one_of(sent, _HOSTS),
    header=st.one_of(st.none(), sent, _near("acme", "globex", "\x00")),
    credential=st.sampled_from([None, UUID(int=1), UUID(int=2), UUID(int=3)]),
)
def test_no_host_and_header_make_one_tenant_of_another(host: str, header: str | None, credential: UUID | None) -> None:
    directory = _directory()
    try:
        tenant = resolve_tenant(
            directory,
            host=hostname_of(host),
            base_domain=_BASE,
            header=header,
            credential_tenant=credential,
            window=_WINDOW,
        )
    except Problem as problem:
        assert problem.status in {403, 404}
        return
    if credential is not None:
        assert tenant is not None
        assert tenant.id == credential
    if tenant is not None and header is not None:
        assert header.strip().lower() == tenant.slug
    name = hostname_of(host)
    own = {f"{tenant.slug}.{_BASE}", f"app.{tenant.slug}.example"} if tenant else set()
    assert name in {_BASE, "localhost", "127.0.0.1", "::1", *own}


def test_hosts_that_are_longer_than_hosts_can_be_do_not_fill_the_memory() -> None:
    remembered = resolve._hostname_of
    remembered.cache_clear()
    for number in range(50):
        assert hostname_of("a" * 60_000 + str(number)) == "a" * 300
    assert remembered.cache_info().currsize == 1


@ENDURING
@given(slug=st.one_of(st.text(), _near("acme", "-", "xn--", "www", "A", "1", ".")))
def test_a_slug_can_stand_before_the_base_domain_or_is_refused(slug: str) -> None:
    try:
        check_slug(slug)
    except InvalidSlug:
        return
    assert hostname_of(f"{slug}.{_BASE}:443") == f"{slug}.{_BASE}"
    assert re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", slug)


@ENDURING
@given(header=st.one_of(sent, _near("Bearer", "bearer ", "Basic", "abc", "lh_")))
def test_a_bearer_token_has_no_space_around_it_or_is_refused(header: str) -> None:
    try:
        token = bearer_token({"authorization": header})
    except InvalidToken:
        return
    assert token
    assert token == token.strip()
    assert header.lower().startswith("bearer ")


_ADDRESSES = st.one_of(
    sent, _near("10.0.0.1", "203.0.113.9", "::1", "fd00::1", "::ffff:", "%eth0", ":80", "unknown", "[", "]")
)


@ENDURING
@given(peer=st.sampled_from(["10.0.0.1", "198.51.100.7", "fd00::1", "::ffff:10.0.0.1"]), said=st.lists(_ADDRESSES))
def test_an_address_is_one_and_nobody_is_believed_who_is_not_trusted(peer: str, said: list[str]) -> None:
    headers = [(name, line.encode("latin-1")) for line in said for name in (b"x-forwarded-for", b"x-forwarded-proto")]
    scope = cast("Scope", {"type": "http", "client": (peer, 1), "headers": headers})
    found = client_address(scope, trusted=_TRUSTED)
    assert str(ip_address(found)) == found
    assert client_address(scope, trusted=()) == peer.removeprefix("::ffff:")
    assert forwarded_scheme(scope, trusted=_TRUSTED) in {None, "http", "https"}
    assert forwarded_scheme(scope, trusted=()) is None


_NAME, _NUMBER = '"[a-z]+-[0-9]+[smhd]"', "[0-9]{1,15}"
_POLICIES = re.compile(rf"(?:{_NAME};q={_NUMBER};w={_NUMBER}(?:, |$))+")
_ROOM = re.compile(rf"(?:{_NAME};r={_NUMBER};t={_NUMBER}(?:, |$))+")


@ENDURING
@given(
    windows=st.lists(
        st.tuples(st.integers(1, 10**9), st.integers(1, 2_592_000)),
        min_size=1,
        max_size=4,
        unique_by=lambda one: one[1],
    ),
    used=st.floats(0, 1),
    now=st.integers(0, 2**62),
)
def test_rate_limit_headers_are_lists_of_structured_fields(
    windows: list[tuple[int, int]], used: float, now: int
) -> None:
    limits = Limits(Policy("client", tuple(Window(requests, seconds) for requests, seconds in windows)))
    whole_at = [now + int(capacity * used) for _, capacity in limits.rates]
    assert _POLICIES.fullmatch(limits.policy_header.decode())
    assert _ROOM.fullmatch(limits.header(whole_at, now).decode())


def _read_by_all(text: str) -> None:
    """Let everything read a header that reads headers."""
    scope = cast("Any", {"client": ("10.0.0.1", 1), "headers": [(b"x-forwarded-for", text.encode())]})
    readers = (
        lambda: parse_key(text),
        lambda: Precondition(text).demand(_ROW, Item.tagged_by),
        lambda: bearer_token({"authorization": text}),
        lambda: trace_of(text),
        lambda: hostname_of(text),
        lambda: is_known(text, _TAG),
        lambda: wants_gzip([(b"accept-encoding", text.encode())]),
        lambda: AllowedOrigins("https://*.example.com").allow(text),
        lambda: client_address(scope, trusted=_TRUSTED),
    )
    for read in readers:
        with suppress(Problem):
            read()


def test_headers_as_long_as_a_server_takes_them_are_read_in_a_moment() -> None:
    began = time.process_time()
    for piece in ('"', "W/", '"a",', " ", ",", "\\", "gzip;", "gzip ", "a", "-", ".", "https://a.", "10.0.0.1,", "1."):
        header = piece * (64_000 // len(piece))
        for text in (header, "gzip" + header, '"' + header, "https://" + header + ".example.com", header + "!"):
            _read_by_all(text)
    assert time.process_time() - began < 20  # of work, not of waiting; quadratic work would take minutes
