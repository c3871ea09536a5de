"""Keys as clients spell them, and what tells one request from another."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.idempotency.key import (
    IdempotencyKey,
    IdempotencyKeyReused,
    InvalidIdempotencyKey,
    fingerprint,
    parse_key,
)

_PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255)
_SUBJECT = UUID(int=7)
_REQUEST: dict[str, Any] = {
    "kind": "client",
    "subject": _SUBJECT,
    "method": "POST",
    "target": "/v1/items?",
    "body": b'{"title":"Desk"}',
}


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("a", "a"),
        ("0b9c2f1e-6f0d-4c0e-9a50-3f2f0c1d7a11", "0b9c2f1e-6f0d-4c0e-9a50-3f2f0c1d7a11"),
        ('"0b9c2f1e"', "0b9c2f1e"),
        ('" "', " "),
        (r'"\"\\"', '"\\'),
        (r"a\b", r"a\b"),
        ('a"b"', 'a"b"'),
        ("~" * 255, "~" * 255),
        ('"' + "~" * 255 + '"', "~" * 255),
    ],
)
def test_a_key_is_a_string_with_its_quotes_or_without(header: str, key: str) -> None:
    assert parse_key(header) == key


@pytest.mark.parametrize(
    "header",
    [
        *("", " ", " a", "a ", "~" * 256, "a\n", "\u00e9", "a\0b", "a\x7f"),
        *('"', '""', '"a', '"a" ', '"a";b=1', '"a", "b"', r'"\a"', '"' + "~" * 256 + '"', '"\u00e9"'),
    ],
)
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(InvalidIdempotencyKey):
        parse_key(header)


@given(_PRINTABLE)
def test_any_printable_text_is_a_key_in_quotes(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_key(f'"{quoted}"') == text


def test_the_same_request_has_the_same_fingerprint() -> None:
    assert fingerprint(b"pepper", **_REQUEST) == fingerprint(b"pepper", **_REQUEST)
    assert len(fingerprint(b"pepper", **_REQUEST)) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "user"},
        {"subject": UUID(int=8)},
        {"method": "PUT"},
        {"target": "/v1/items?x"},
        {"body": b'{"title": "Desk"}'},
        {"body": b""},
        {"target": "/v1/items?{", "body": b'"title":"Desk"}'},
    ],
)
def test_whatever_differs_in_a_request_differs_in_its_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint(b"pepper", **(_REQUEST | change)) != fingerprint(b"pepper", **_REQUEST)


def test_without_the_pepper_nobody_can_make_a_fingerprint() -> None:
    assert fingerprint(b"pepper", **_REQUEST) != fingerprint(b"salt", **_REQUEST)


def test_another_place_subject_or_key_has_another_lock() -> None:
    key = IdempotencyKey(_SUBJECT, "a", b"1")
    locks = {
        key.lock(b"one"),
        key.lock(b"two"),
        IdempotencyKey(UUID(int=8), "a", b"1").lock(b"one"),
        IdempotencyKey(_SUBJECT, "b", b"1").lock(b"one"),
    }
    assert len(locks) == 4
    assert IdempotencyKey(_SUBJECT, "a", b"2").lock(b"one") == key.lock(b"one")
    assert all(-(2**63) <= lock < 2**63 for lock in locks)


def test_a_key_belongs_to_one_request() -> None:
    key = IdempotencyKey(_SUBJECT, "a", b"1")
    key.demand(b"1")
    with pytest.raises(IdempotencyKeyReused):
        key.demand(b"2")
