"""Keyset pages: `limit` rows after a cursor. The cursor is signed over the list, its owner and its filters."""

import hmac
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec

from leasehold.core.errors import FieldError, Invalid


class Identified(Protocol):
    """Whatever a list may hold: it has an id, and ids give the order."""

    id: UUID


ItemT = TypeVar("ItemT")
IdentifiedT = TypeVar("IdentifiedT", bound=Identified)
MAX_LIMIT = 100
DEFAULT_LIMIT = 20
_SIGNATURE_BYTES = 16


class InvalidCursor(Invalid):
    """The cursor was not issued for this list."""

    type = "invalid-cursor"
    title = "Invalid cursor"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("?cursor", "was not issued for this list")])


class Page(msgspec.Struct, Generic[ItemT]):
    """One page of a list."""

    items: list[ItemT]
    """The rows, in order."""
    next_cursor: str | None
    """Hand it back as `cursor` for the next page; null on the last."""
    has_more: bool
    """Whether another page follows."""


class Cursors:
    """Signs and verifies cursors for lists that are ordered by id. What `others` have signed is taken, too."""

    def __init__(self, key: bytes, *others: bytes) -> None:
        # Keyed BLAKE2b (RFC 7693) needs no HMAC around it, and takes a fifth of the time.
        self._keyed = blake2b(key=key, digest_size=_SIGNATURE_BYTES)
        self._others = tuple(blake2b(key=other, digest_size=_SIGNATURE_BYTES) for other in others)

    def encode(self, after: UUID, *, scope: bytes) -> str:
        """Return the cursor that continues behind row `after` of the list that `scope` names."""
        return _signed(self._keyed, after, scope)

    def decode(self, cursor: str | None, *, scope: bytes) -> UUID | None:
        """Return the id behind which to continue, or None for the first page.

        Raises:
            InvalidCursor: altered, or issued for another list, tenant or filter.
        """
        if cursor is None:
            return None
        try:
            after, given = UUID(hex=cursor[:32]), cursor.encode()
        except ValueError as error:
            raise InvalidCursor from error
        # Compared whole: one id can be written in several ways, and only the one that was issued is taken.
        for keyed in (self._keyed, *self._others):
            if hmac.compare_digest(_signed(keyed, after, scope).encode(), given):
                return after
        raise InvalidCursor

    def seal(self, place: Sequence[Any], *, scope: bytes) -> str:
        """Return the cursor that continues behind a place in the order of the list that `scope` names."""
        written = msgspec.json.encode(place)
        return _sealed(self._keyed, written, scope)

    def open(self, cursor: str | None, kinds: tuple[Any, ...], *, scope: bytes) -> tuple[Any, ...] | None:
        """Return the place behind which to continue, or None for the first page.

        Raises:
            InvalidCursor: altered, or issued for another list, tenant, order or filter.
        """
        if cursor is None:
            return None
        encoded = cursor.partition(".")[0]
        try:
            written = b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            sealed = cursor.encode()
        except ValueError as error:
            raise InvalidCursor from error
        # Compared whole, as above.
        for keyed in (self._keyed, *self._others):
            if hmac.compare_digest(_sealed(keyed, written, scope).encode(), sealed):
                return msgspec.json.decode(written, type=tuple[kinds])
        raise InvalidCursor


def _sealed(keyed: blake2b, written: bytes, scope: bytes) -> str:
    signature = keyed.copy()
    # The length stands between, lest a part of the one be taken for a part of the other.
    signature.update(len(written).to_bytes(4) + written + scope)
    return urlsafe_b64encode(written).decode().rstrip("=") + "." + signature.hexdigest()


def _signed(keyed: blake2b, after: UUID, scope: bytes) -> str:
    signature = keyed.copy()
    signature.update(after.bytes + scope)
    return after.hex + signature.hexdigest()


class Pager:
    """The page that one request asks for: how many rows, and behind which. `scope` says of whose list, and of which."""

    def __init__(self, cursors: Cursors, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> None:
        self._cursors = cursors
        self.limit = limit
        self._cursor = cursor

    def after(self, scope: bytes) -> UUID | None:
        """Return the id behind which the page begins, None for the first page.

        Raises:
            InvalidCursor: the cursor was altered, or issued for another list, tenant or filter.
        """
        return self._cursors.decode(self._cursor, scope=scope)

    def page(self, rows: Sequence[IdentifiedT], scope: bytes) -> Page[IdentifiedT]:
        """Return the page that up to `limit + 1` fetched rows make: the row too many only tells that more follow."""
        items = list(rows[: self.limit])
        has_more = len(rows) > self.limit
        return Page(items, self._cursors.encode(items[-1].id, scope=scope) if has_more else None, has_more)

    def place(self, scope: bytes, kinds: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return the place behind which the page begins, as values of these kinds, None for the first page.

        Raises:
            InvalidCursor: the cursor was altered, or issued for another list, tenant, order or filter.
        """
        return self._cursors.open(self._cursor, kinds, scope=scope)

    def page_by(self, rows: Sequence[ItemT], scope: bytes, place_of: Callable[[ItemT], Sequence[Any]]) -> Page[ItemT]:
        """Return the page that up to `limit + 1` fetched rows make, in an order in which each row has a place."""
        items = list(rows[: self.limit])
        has_more = len(rows) > self.limit
        return Page(items, self._cursors.seal(place_of(items[-1]), scope=scope) if has_more else None, has_more)
