"""Whose address a request has: that of the connection, or what a trusted proxy says of it."""

from ipaddress import ip_network
from typing import Any, cast

import pytest
from litestar.types import Scope

from leasehold.http.address import client_address, forwarded_scheme

_TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def _scope(peer: str | None, *forwarded: str) -> Scope:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    scope: dict[str, Any] = {"type": "http", "client": (peer, 1234) if peer else None, "headers": headers}
    return cast("Scope", scope)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", (), "198.51.100.7"),
        (None, (), "unknown"),
        ("198.51.100.7", ("203.0.113.9",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("10.0.0.1", ("192.0.2.1, 203.0.113.9",), "203.0.113.9"),
        ("10.0.0.1", ("192.0.2.1", "203.0.113.9"), "203.0.113.9"),
        ("10.0.0.1", ("203.0.113.9, 10.0.0.2",), "203.0.113.9"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("203.0.113.9, garbage",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("fd00::1", ("2001:db8::1",), "2001:db8::1"),
        (None, ("203.0.113.9",), "unknown"),
        ("::ffff:198.51.100.7", (), "198.51.100.7"),
        ("::ffff:10.0.0.1", ("::ffff:203.0.113.9",), "203.0.113.9"),
        ("10.0.0.1", ("2001:DB8:0::1",), "2001:db8::1"),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str | None, forwarded: tuple[str, ...], address: str) -> None:
    assert client_address(_scope(peer, *forwarded), trusted=_TRUSTED) == address


def test_nobody_is_believed_where_no_proxy_is_trusted() -> None:
    assert client_address(_scope("10.0.0.1", "203.0.113.9"), trusted=()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("10.0.0.1", ("https",), "https"),
        ("10.0.0.1", (" HTTP ",), "http"),
        ("10.0.0.1", ("http, https",), "https"),
        ("10.0.0.1", ("http", "https"), "https"),
        ("10.0.0.1", ("javascript",), None),
        ("10.0.0.1", ("",), None),
        ("10.0.0.1", (), None),
        ("198.51.100.7", ("http",), None),
        (None, ("http",), None),
    ],
)
def test_a_scheme_is_believed_of_a_trusted_proxy_alone(
    peer: str | None, said: tuple[str, ...], scheme: str | None
) -> None:
    scope = _scope(peer)
    scope["headers"] = [(b"x-forwarded-proto", line.encode()) for line in said]
    assert forwarded_scheme(scope, trusted=_TRUSTED) == scheme
