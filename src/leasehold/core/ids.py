"""Identifiers: UUIDv7, made in Python, and the short text form that stands inside credentials."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils.compat import uuid7

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
SHORT_LENGTH = 22
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TIME_BITS = 48


def new_id() -> UUID:
    """Return a fresh UUIDv7 (RFC 9562, section 5.7): ids sort by the millisecond they were made in."""
    return uuid7()


def made_at(value: UUID) -> datetime:
    """Return the moment that a UUIDv7 carries, in UTC, to the millisecond."""
    return _EPOCH + (value.int >> (128 - _TIME_BITS)) * _MILLISECOND


def id_bound(moment: datetime) -> UUID:
    """Return the id before which all UUIDv7 sort that were made before a moment, and behind which all others do."""
    milliseconds = -((_EPOCH - moment) // _MILLISECOND)  # rounded up
    return UUID(int=min(max(milliseconds, 0), (1 << _TIME_BITS) - 1) << (128 - _TIME_BITS))


def base62(number: int, *, length: int) -> str:
    """Return `number` in base 62, left-padded with zeros to `length` letters."""
    letters: list[str] = []
    for _ in range(length):
        number, rest = divmod(number, 62)
        letters.append(_ALPHABET[rest])
    return "".join(reversed(letters))


def short_id(value: UUID) -> str:
    """Return the 22 letters of base 62 that name the id inside a credential."""
    return base62(value.int, length=SHORT_LENGTH)


def parse_short_id(text: str) -> UUID:
    """Return the id that `short_id` wrote.

    Raises:
        ValueError: the text is not 22 letters of base 62, or names no 128-bit number.
    """
    if len(text) != SHORT_LENGTH:
        raise ValueError("a short id has 22 letters")
    number = 0
    for letter in text:
        if letter not in _VALUES:
            raise ValueError("a short id has letters and digits only")
        number = number * 62 + _VALUES[letter]
    return UUID(int=number)
