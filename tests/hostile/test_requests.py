"""Whole requests with headers and bodies that nobody foresaw: every answer is one that a client can read."""

import json
from collections.abc import AsyncGenerator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.http.request_log import RequestLog
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer
from tests.hostile.profiles import ENDURING

_NAMES = st.sampled_from(
    [
        *("accept", "accept-encoding", "content-type", "content-encoding", "if-match", "if-none-match"),
        *("idempotency-key", "traceparent", "tracestate", "x-tenant", "host", "origin"),
        *("x-forwarded-for", "x-forwarded-proto", "forwarded", "request-id", "range"),
        *("expect", "cookie", "x-http-method-override", "te"),
    ]
)
_PARTS = st.sampled_from(
    [
        *(b"application/json", b"application/merge-patch+json", b"application/x-ndjson", b"text/html"),
        *(b";charset=utf-16", b"*", b"gzip", b"br", b'"', b"W/", b",", b";q=0", b"leasehold.test", b"null"),
        *(b"10.0.0.1", b"\xff", b"a" * 5000),
    ]
)
_VALUES = st.lists(st.one_of(_PARTS, st.binary(max_size=8)), max_size=4).map(
    lambda parts: b"".join(parts).translate(None, b"\r\n\x00").strip(b" \t")
)
_BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"{}", b"[]", b'{"title":"Desk"}', b'{"title":"\\ud800"}', b"[" * 3000, b'{"title":null}']),
)
_ADDRESSES = st.sampled_from(
    [
        ("GET", "/v1/items"),
        ("POST", "/v1/items"),
        ("POST", "/v1/items/import"),
        ("PATCH", "/v1/items/bulk"),
        ("PATCH", "/v1/items/0199a1f0-0000-7000-8000-000000000002"),
        ("OPTIONS", "/v1/items"),
        ("TRACE", "/v1/items"),
        ("POST", "/v1/auth/login"),
        ("POST", "/oauth/token"),
        ("GET", "/docs/problems/not-found"),
        ("GET", "/v1/%ff%2e"),
    ]
)


@pytest.fixture
async def plain(app: RequestLog) -> AsyncGenerator[httpx.AsyncClient]:
    """A client that sends what it is told, whether an answer to it is described or not."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://leasehold.test") as client:
        yield client


@pytest.fixture
async def token(process: Process, acme: TenantRef) -> str:
    """The credential of a client of a tenant."""
    return (await bearer(process, acme))["Authorization"]


@ENDURING
@given(
    address=_ADDRESSES,
    headers=st.lists(st.tuples(_NAMES, _VALUES), max_size=4),
    body=_BODIES,
    query=st.one_of(st.just(""), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
)
async def test_no_header_and_no_body_find_an_error_of_ours(
    process: Process,
    plain: httpx.AsyncClient,
    token: str,
    address: tuple[str, str],
    headers: list[tuple[str, bytes]],
    body: bytes,
    query: str,
) -> None:
    method, path = address
    sent = [(b"Authorization", token.encode()), *((name.encode(), value) for name, value in headers)]
    await process.feed.caught_up()  # the loop stands still between two examples, and with it what keeps it fresh
    answer = await plain.request(method, path, params=query, content=body, headers=sent)
    assert answer.status_code < 500, answer.text
    assert answer.headers["request-id"]
    if answer.status_code >= 400 and answer.content and not path.startswith("/oauth/"):
        assert answer.headers["content-type"] == "application/problem+json"
        assert json.loads(answer.content)["status"] == answer.status_code
