"""Keyset pages and their cursors."""

from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leasehold.core.pagination import Cursors, InvalidCursor, Pager

_CURSORS = Cursors(b"k" * 32)
_AFTER = UUID("0199a1f0-0000-7000-8000-000000000001")
_SCOPE = b"tenant-1 items"


@dataclass
class Row:
    id: UUID


def _pager(limit: int, cursor: str | None = None) -> Pager:
    return Pager(_CURSORS, limit, cursor)


def _rows(count: int) -> list[Row]:
    return [Row(UUID(int=number)) for number in range(1, count + 1)]


@given(st.uuids(), st.binary(max_size=50))
def test_a_cursor_reads_back_for_its_own_list(after: UUID, scope: bytes) -> None:
    assert _CURSORS.decode(_CURSORS.encode(after, scope=scope), scope=scope) == after


def test_a_cursor_can_stand_in_an_address_as_it_is() -> None:
    cursor = _CURSORS.encode(UUID(int=2**128 - 1), scope=_SCOPE)
    assert len(cursor) == 64
    assert set(cursor) <= set("0123456789abcdef")


def test_without_a_cursor_the_list_begins_at_its_start() -> None:
    assert _CURSORS.decode(None, scope=_SCOPE) is None
    assert _pager(20).after(_SCOPE) is None


@pytest.mark.parametrize("scope", [b"tenant-2 items", b"tenant-1 users", b"", _SCOPE + b" "])
def test_a_cursor_of_another_list_or_tenant_is_refused(scope: bytes) -> None:
    with pytest.raises(InvalidCursor):
        _CURSORS.decode(_CURSORS.encode(_AFTER, scope=_SCOPE), scope=scope)


def test_a_cursor_of_another_installation_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        _CURSORS.decode(Cursors(b"o" * 32).encode(_AFTER, scope=_SCOPE), scope=_SCOPE)


@pytest.mark.parametrize("place", range(32))
def test_a_cursor_with_any_byte_changed_is_refused(place: int) -> None:
    raw = bytearray.fromhex(_CURSORS.encode(_AFTER, scope=_SCOPE))
    raw[place] ^= 1
    with pytest.raises(InvalidCursor):
        _CURSORS.decode(raw.hex(), scope=_SCOPE)


@pytest.mark.parametrize("length", [1, 31, 32, 63, 65])
def test_a_cursor_of_another_length_is_refused(length: int) -> None:
    cursor = _CURSORS.encode(_AFTER, scope=_SCOPE) + "0"
    with pytest.raises(InvalidCursor):
        _CURSORS.decode(cursor[:length], scope=_SCOPE)


def test_a_cursor_that_is_written_in_another_way_is_refused() -> None:
    cursor = _CURSORS.encode(_AFTER, scope=_SCOPE)
    for other in (cursor.upper(), f" {cursor}", f"{{{cursor}", cursor + "\ud800"):
        with pytest.raises(InvalidCursor):
            _CURSORS.decode(other, scope=_SCOPE)


@given(st.text())
def test_any_other_text_is_refused_as_a_cursor_and_in_no_other_way(text: str) -> None:
    with pytest.raises(InvalidCursor) as refused:
        _CURSORS.decode(text, scope=_SCOPE)
    assert refused.value.errors[0].pointer == "?cursor"


def test_the_row_too_many_tells_that_more_follow() -> None:
    page = _pager(2).page(_rows(3), _SCOPE)
    assert [row.id.int for row in page.items] == [1, 2]
    assert page.has_more
    assert page.next_cursor is not None


def test_the_next_page_continues_behind_the_last_row_that_was_shown() -> None:
    cursor = _pager(2).page(_rows(3), _SCOPE).next_cursor
    assert _pager(2, cursor).after(_SCOPE) == UUID(int=2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_last_page_has_no_cursor(count: int) -> None:
    page = _pager(2).page(_rows(count), _SCOPE)
    assert [row.id.int for row in page.items] == list(range(1, count + 1))
    assert (page.has_more, page.next_cursor) == (False, None)


def test_a_pager_refuses_a_cursor_that_was_altered() -> None:
    with pytest.raises(InvalidCursor):
        _pager(2, "a" * 64).after(_SCOPE)
