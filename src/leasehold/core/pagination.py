"""Keyset pages: `limit` rows after a cursor. The cursor is signed over the list, its owner and its filters."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar
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
    """Signs and verifies cursors for lists that are ordered by id."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, after: UUID, *, scope: str) -> str:
        """Return the cursor that continues behind row `after` of the list that `scope` names."""
        return base64.urlsafe_b64encode(after.bytes + self._sign(after.bytes, scope)).decode().rstrip("=")

    def decode(self, cursor: str | None, *, scope: str) -> UUID | None:
        """Return the id behind which to continue, or None for the first page.

        Raises:
            InvalidCursor: altered, or issued for another list, tenant or filter.
        """
        if cursor is None:
            return None
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor from error
        after, signature = raw[:16], raw[16:]
        if len(after) != 16 or not hmac.compare_digest(self._sign(after, scope), signature):
            raise InvalidCursor
        return UUID(bytes=after)

    def _sign(self, payload: bytes, scope: str) -> bytes:
        # Keyed BLAKE2b (RFC 7693) needs no HMAC around it, and takes a fifth of the time.
        return blake2b(scope.encode() + b"\0" + payload, key=self._key, digest_size=_SIGNATURE_BYTES).digest()


class Pager:
    """The page that one request asks for: how many rows, behind which, of which list."""

    def __init__(self, cursors: Cursors, *, scope: str, limit: int, cursor: str | None) -> None:
        self._cursors = cursors
        self._scope = scope
        self.limit = limit
        self.after = cursors.decode(cursor, scope=scope)

    def page(self, rows: Sequence[IdentifiedT]) -> Page[IdentifiedT]:
        """Return the page that up to `limit + 1` fetched rows make: the row too many only tells that more follow."""
        items = list(rows[: self.limit])
        has_more = len(rows) > self.limit
        return Page(items, self._cursors.encode(items[-1].id, scope=self._scope) if has_more else None, has_more)
