"""A whole list as lines of JSON: batch by batch, between which nothing is held."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from leasehold.core.reads import StructT

BATCH = 1000
"""Rows that are read at once."""
_encode_lines = msgspec.json.Encoder().encode_lines


async def exported(read: Callable[[StructT | None], Awaitable[list[StructT]]]) -> AsyncGenerator[bytes]:
    """Return the lines of a list, of which `read` returns up to `BATCH` rows behind the one it is given.

    The first batch is read at once, while what goes wrong can still be answered.
    """
    return _lines(read, await read(None))


async def _lines(
    read: Callable[[StructT | None], Awaitable[list[StructT]]], rows: list[StructT]
) -> AsyncGenerator[bytes]:
    while rows:
        yield _encode_lines(rows)
        rows = await read(rows[-1]) if len(rows) == BATCH else []
