"""The journal of the client: each request before it is sent, and what came of it, one line each, never changed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

Event = Literal["sent", "answered", "cut", "hung"]
"""`cut` is a connection that broke, `hung` one on which nothing came for as long as the client waits."""
Kind = Literal["make", "make_once", "change", "read", "list"]
"""`make_once` has an Idempotency-Key and is sent again until it is answered."""


class Entry(Struct, omit_defaults=True):
    """One line."""

    event: Event
    at: float
    """Seconds of the machine's monotonic clock, which all processes share."""
    kind: Kind
    tenant: str
    number: int
    """Of the operation; all its attempts have the same."""
    attempt: int = 1
    due: float = 0.0
    """When it was to be sent; who waits for others counts that wait too."""
    title: str = ""
    """What a row is known by: it begins with the mark of its tenant."""
    status: int = 0
    problem: str = ""
    retry_after: str = ""
    foreign: int = 0
    """Rows in the answer that carry another mark."""


class Journal:
    """A journal that is being written."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, entry: Entry) -> None:
        """Write a line; it is with the kernel when this returns, and survives the death of the client."""
        os.write(self._descriptor, msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_journal(path: Path, *, behind: int = 0) -> list[Entry]:
    """Return all lines that are complete, behind so many bytes."""
    return list(_entries(path, behind))


def _entries(path: Path, behind: int) -> Iterator[Entry]:
    decoder = msgspec.json.Decoder(Entry)
    with path.open("rb") as file:
        file.seek(behind)
        lines = file.read().splitlines(keepends=True)
    for line in lines:
        if line.endswith(b"\n"):
            yield decoder.decode(line)
