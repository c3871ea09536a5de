"""Whatever a client holds that was made here: it reads back, and nobody can change a letter of it.

Each parser refuses in the way it says and in no other, for what raises anything else is an error of ours.
"""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.credentials import MalformedSecret, new_secret, parse_secret
from leasehold.core.errors import InvalidToken
from leasehold.core.pagination import Cursors, InvalidCursor
from leasehold.core.signed_links import InvalidLink, SignedLinks
from leasehold.core.signing import KeyRing, SigningKey
from leasehold.core.tokens import AccessTokens
from tests.hostile.profiles import ENDURING

_TENANT = UUID("0199a1f0-0000-7000-8000-000000000002")
_SCOPE = b"a list"
_TOKENS = AccessTokens(
    KeyRing([SigningKey.from_seed(b"m" * 32, signs_from=0)]), issuer="https://leasehold.test", lifetime_s=900
)
_CURSORS = Cursors(b"k" * 32)
_LINKS = SignedLinks("https://leasehold.test", b"k" * 32)
_PATH = "/v1/tenant/exports/1/download"


def _query(link: str) -> str:
    return link.partition("?")[2]


@dataclass(frozen=True)
class Held:
    """What a client holds, how it is read, and how it is refused."""

    good: str
    read: Callable[[str], Any]
    refusal: type[Exception]


def _issued() -> str:
    return _TOKENS.issue(kind="client", subject=_TENANT, tenant_id=_TENANT, scopes=frozenset({"items:read"}))


HELD: dict[str, Callable[[], Held]] = {
    "access token": lambda: Held(_issued(), _TOKENS.verify, InvalidToken),
    "platform token": lambda: Held(
        _TOKENS.issue_for_platform(admin_id=_TENANT, session_id=_TENANT, scopes=frozenset()),
        _TOKENS.verify_for_platform,
        InvalidToken,
    ),
    "secret": lambda: Held(new_secret("key", tenant_id=_TENANT), parse_secret, MalformedSecret),
    "admin's secret": lambda: Held(new_secret("admin", tenant_id=None), parse_secret, MalformedSecret),
    "cursor": lambda: Held(
        _CURSORS.encode(_TENANT, scope=_SCOPE), lambda text: _CURSORS.decode(text, scope=_SCOPE), InvalidCursor
    ),
    "sealed cursor": lambda: Held(
        _CURSORS.seal(["a", str(_TENANT)], scope=_SCOPE),
        lambda text: _CURSORS.open(text, (str, UUID), scope=_SCOPE),
        InvalidCursor,
    ),
    "link": lambda: Held(
        _query(_LINKS.to(_PATH, tenant_id=_TENANT, expires_at=2**40)),
        lambda text: _LINKS.tenant_of(_PATH, text),
        InvalidLink,
    ),
}
each = pytest.mark.parametrize("held", HELD.values(), ids=HELD.keys(), indirect=True)
_PATHS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
# Letters that somebody would try: those of the alphabets, what separates, and what is none of ASCII.
_LETTERS = st.sampled_from("0aAzZ9._-+/=&%~ \n\x00é٣\ud800")


@pytest.fixture
def held(request: pytest.FixtureRequest) -> Held:
    """One of them, made for this test: a token that was made with the first has expired before the last."""
    make: Callable[[], Held] = request.param
    return make()


@each
def test_what_was_made_here_reads_back(held: Held) -> None:
    assert held.read(held.good) is not None


@each
def test_no_letter_of_it_can_be_another_nor_be_missing_nor_stand_twice(held: Held) -> None:
    good = held.good
    for place, letter in enumerate(good):
        others = {chr(ord(letter) ^ 1), letter.swapcase(), "A", "_", "="} - {letter}
        for other in (*(good[:place] + one + good[place + 1 :] for one in others), good[:place] + good[place + 1 :]):
            if other != good:
                with pytest.raises(held.refusal):
                    held.read(other)


@each
@ENDURING
@given(data=st.data())
def test_whatever_is_put_in_or_around_it_is_refused(held: Held, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(held.good)))
    more = data.draw(st.text(_LETTERS, min_size=1, max_size=5))
    with pytest.raises(held.refusal):
        held.read(held.good[:place] + more + held.good[place:])


@each
@ENDURING
@given(text=st.one_of(st.text(), st.text(_LETTERS), st.from_regex(r"[\w.=&%-]{0,200}", fullmatch=True)))
def test_any_other_text_is_refused_as_it_is_said_and_in_no_other_way(held: Held, text: str) -> None:
    with pytest.raises(held.refusal):
        held.read(text)


@each
def test_what_is_long_is_refused_in_a_moment(held: Held) -> None:
    began = time.process_time()
    for letter in ("a", ".", "=", "&", "_", "%", "[", "é"):
        for text in (letter * 64_000, held.good + letter * 64_000, letter * 64_000 + held.good):
            with pytest.raises(held.refusal):
                held.read(text)
    assert time.process_time() - began < 5  # of work, not of waiting; quadratic work would take minutes


def test_a_header_that_is_nested_deeper_than_python_reads_is_refused() -> None:
    nested = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 2900).decode().rstrip("=")
    with pytest.raises(InvalidToken):
        _TOKENS.verify(f"{nested}.e30.AAAA")


@ENDURING
@given(
    place=st.lists(st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text()), max_size=4),
    scope=st.binary(max_size=40),
    other=st.binary(max_size=40),
)
def test_a_place_reads_back_in_its_own_list_alone(place: list[Any], scope: bytes, other: bytes) -> None:
    cursor = _CURSORS.seal(place, scope=scope)
    kinds = tuple(Any for _ in place)
    assert _CURSORS.open(cursor, kinds, scope=scope) == tuple(place)
    if other != scope:
        with pytest.raises(InvalidCursor):
            _CURSORS.open(cursor, kinds, scope=other)


@ENDURING
@given(tenant=st.uuids(), path=_PATHS, other=_PATHS)
def test_a_link_opens_its_own_address_alone(tenant: UUID, path: str, other: str) -> None:
    query = _LINKS.to(path, tenant_id=tenant, expires_at=2**40).rpartition("?")[2]
    assert _LINKS.tenant_of(path, query) == tenant
    if other != path:
        with pytest.raises(InvalidLink):
            _LINKS.tenant_of(other, query)


@ENDURING
@given(kind=st.from_regex(r"[a-z]{1,12}", fullmatch=True), tenant=st.one_of(st.none(), st.uuids()))
def test_a_secret_says_its_kind_and_its_tenant(kind: str, tenant: UUID | None) -> None:
    parsed = parse_secret(new_secret(kind, tenant_id=tenant))
    assert (parsed.kind, parsed.tenant_id) == (kind, tenant)
