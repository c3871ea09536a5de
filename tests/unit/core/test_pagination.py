"""Keyset pages and their cursors."""

import base64
from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.pagination import Cursors, InvalidCursor, Pager

_CURSORS = Cursors(b"k" * 32)
_AFTER = UUID("0199a1f0-0000-7000-8000-000000000001")
_SCOPE = "tenant-1 /v1/items"


@dataclass
class Row:
    id: UUID


def _pager(limit: int, cursor: str | None = None) -> Pager:
    return Pager(_CURSORS, scope=_SCOPE, limit=limit, cursor=cursor)


def _rows(count: int) -> list[Row]:
    return [Row(UUID(int=number)) for number in range(1, count + 1)]


@given(st.uuids(), st.text(max_size=50))
def test_a_cursor_reads_back_for_its_own_list(after: UUID, scope: str) -> None:
    assert _CURSORS.decode(_CURSORS.encode(after, scope=scope), scope=scope) == after


def test_a_cursor_can_stand_in_an_address_as_it_is() -> None:
    cursor = _CURSORS.encode(UUID(int=2**128 - 1), scope=_SCOPE)
    assert len(cursor) == 43
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_without_a_cursor_the_list_begins_at_its_start() -> None:
    assert _CURSORS.decode(None, scope=_SCOPE) is None
    assert _pager(20).after is None


@pytest.mark.parametrize("scope", ["tenant-2 /v1/items", "tenant-1 /v1/users", "", _SCOPE + " "])
def test_a_cursor_of_another_list_or_tenant_is_refused(scope: str) -> None:
    with pytest.raises(InvalidCursor):
        _CURSORS.decode(_CURSORS.encode(_AFTER, scope=_SCOPE), scope=scope)


def test_a_cursor_of_another_installation_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        _CURSORS.decode(Cursors(b"o" * 32).encode(_AFTER, scope=_SCOPE), scope=_SCOPE)


@pytest.mark.parametrize("place", range(32))
def test_a_cursor_with_any_byte_changed_is_refused(place: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(_CURSORS.encode(_AFTER, scope=_SCOPE) + "="))
    raw[place] ^= 1
    with pytest.raises(InvalidCursor):
        _CURSORS.decode(base64.urlsafe_b64encode(raw).decode(), scope=_SCOPE)


@pytest.mark.parametrize("length", [1, 15, 16, 31, 33])
def test_a_cursor_of_another_length_is_refused(length: int) -> None:
    raw = base64.urlsafe_b64decode(_CURSORS.encode(_AFTER, scope=_SCOPE) + "=") + b"more"
    with pytest.raises(InvalidCursor):
        _CURSORS.decode(base64.urlsafe_b64encode(raw[:length]).decode(), scope=_SCOPE)


@given(st.text())
def test_any_other_text_is_refused_as_a_cursor_and_in_no_other_way(text: str) -> None:
    with pytest.raises(InvalidCursor) as refused:
        _CURSORS.decode(text, scope=_SCOPE)
    assert refused.value.errors[0].pointer == "?cursor"


def test_the_row_too_many_tells_that_more_follow() -> None:
    page = _pager(2).page(_rows(3))
    assert [row.id.int for row in page.items] == [1, 2]
    assert page.has_more
    assert page.next_cursor is not None


def test_the_next_page_continues_behind_the_last_row_that_was_shown() -> None:
    cursor = _pager(2).page(_rows(3)).next_cursor
    assert _pager(2, cursor).after == UUID(int=2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_last_page_has_no_cursor(count: int) -> None:
    page = _pager(2).page(_rows(count))
    assert [row.id.int for row in page.items] == list(range(1, count + 1))
    assert (page.has_more, page.next_cursor) == (False, None)


def test_a_pager_refuses_a_cursor_that_was_altered() -> None:
    with pytest.raises(InvalidCursor):
        _pager(2, "A" * 43)
