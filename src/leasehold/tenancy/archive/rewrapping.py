"""Changes the wrapped secrets in the rows of a table on their way: from one key to another, row by row.

The rows are PostgreSQL's COPY text, in which neither a tab nor a line feed stands for anything but the end of a field
or of a row.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leasehold.tenancy.archive.refusals import Damaged

_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANING = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_NULL = rb"\N"
_HEX = rb"\\x"
_MOST_ROW = 16 * 1024 * 1024
"""Bytes: a row of secrets has some hundred."""

Rewrap = Callable[[bytes, str], bytes]
"""Takes a wrapped secret and the text of the column that names it; returns it wrapped otherwise."""


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """What happens to the values of one column."""

    column: str
    name: str
    """The column that names them."""
    rewrap: Rewrap


class RowChange:
    """Changes some columns of all rows that are fed to it, in pieces of any length."""

    def __init__(self, columns: Sequence[str], changes: Sequence[ColumnChange]) -> None:
        self._changes = [
            (columns.index(change.column), columns.index(change.name), change.rewrap) for change in changes
        ]
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """Return the rows that are whole by now, changed.

        Raises:
            Damaged: what was fed are no rows, or one of them is longer than any.
        """
        *rows, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > _MOST_ROW:
            raise Damaged(reason="a row of a table with secrets is too long")
        return b"".join(self._changed(row) + b"\n" for row in rows)

    def finish(self) -> None:
        """Pass if no row was left in the middle.

        Raises:
            Damaged: one was.
        """
        if self._rest:
            raise Damaged(reason="the last row of a table is not whole")

    def _changed(self, row: bytes) -> bytes:
        fields = row.split(b"\t")
        for column, name, rewrap in self._changes:
            try:
                secret, named = _bytes(fields[column]), _plain(fields[name])
            except (IndexError, ValueError) as error:
                raise Damaged(reason="a row of it is none") from error
            if secret is not None:
                fields[column] = _HEX + rewrap(secret, named).hex().encode()
        return b"\t".join(fields)


def _bytes(field: bytes) -> bytes | None:
    """Return the value of a field that is a bytea, None for NULL."""
    if field == _NULL:
        return None
    if not field.startswith(_HEX):
        raise ValueError("no hexadecimal digits")
    return bytes.fromhex(field[len(_HEX) :].decode())


def _plain(field: bytes) -> str:
    """Return the text of a field."""
    return _ESCAPED.sub(lambda found: _MEANING.get(found[1], found[1]), field).decode()
