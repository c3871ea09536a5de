"""Items as the documentation has them, in memory: what a state machine holds the API against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

FIELDS = ("title", "description", "status", "owner_id", "tags")
_WITHOUT_VALUE: dict[str, Any] = {"description": "", "status": "open", "owner_id": None, "tags": []}
_COMPARED = {"gte": "__ge__", "gt": "__gt__", "lte": "__le__", "lt": "__lt__"}


def fields_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an item is that is made of a body."""
    return merged(_WITHOUT_VALUE, body)


def merged(fields: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an item becomes by a merge patch: what is absent stays, null is what it is without a value."""
    patched = {name: _WITHOUT_VALUE[name] if value is None else value for name, value in patch.items()}
    found = {**fields, **patched}
    return {**found, "tags": list(dict.fromkeys(tag.strip().lower() for tag in found["tags"]))}


@dataclass
class Row:
    """One item, and every ETag it ever had."""

    shown: dict[str, Any]
    """What a client that gets it is shown, or was before it was deleted."""
    etags: list[str] = field(default_factory=list)
    is_deleted: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """What a client may change of it."""
        return {name: self.shown[name] for name in FIELDS}

    def demand(self, shown: Mapping[str, Any], fields: Mapping[str, Any], *, writes: int) -> None:
        """Fail unless an answer shows this item, with these fields, after so many writes."""
        assert {name: shown[name] for name in FIELDS} == fields
        assert (shown["id"], shown["created_at"]) == (self.shown["id"], self.shown["created_at"])
        assert shown["version"] == self.shown["version"] + writes
        if writes == 0:
            assert shown == self.shown
        else:
            assert moment(shown["updated_at"]) > moment(self.shown["updated_at"])


@dataclass
class Listing:
    """A list that is being paged through: what was asked, and what was shown so far."""

    query: dict[str, str]
    limit: int
    cursor: str | None = None
    behind: tuple[Any, ...] | None = None
    """The place in the order of the last row that was shown."""
    is_over: bool = False
    seen: list[str] = field(default_factory=list)
    throughout: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """The rows that were there, each at its place, from the first page on."""

    @property
    def parameters(self) -> dict[str, str]:
        """The query string of the next page."""
        more = {"cursor": self.cursor} if self.cursor is not None else {}
        return {**self.query, "limit": str(self.limit), **more}

    def matching(self, rows: Sequence[Row]) -> list[Row]:
        """Return those of some rows that are in the list, in its order."""
        found = [row for row in rows if not row.is_deleted and self._has(row.shown)]
        return sorted(found, key=self.place, reverse=self._is_descending)

    def next_page(self, rows: Sequence[Row]) -> tuple[list[Row], bool]:
        """Return the page behind what was shown, and whether another one follows."""
        behind = [row for row in self.matching(rows) if self.behind is None or self._is_behind(row)]
        return behind[: self.limit], len(behind) > self.limit

    def turn(self, rows: Sequence[Row], cursor: str | None) -> None:
        """Note that a page was shown, and which cursor came with it."""
        self.seen += [row.shown["id"] for row in rows]
        self.behind = self.place(rows[-1]) if rows else self.behind
        self.cursor, self.is_over = cursor, cursor is None

    def begin(self, rows: Sequence[Row]) -> None:
        """Note what is there when the first page is asked for."""
        self.throughout = {row.shown["id"]: self.place(row) for row in self.matching(rows)}

    def look(self, rows: Sequence[Row]) -> None:
        """Forget the rows that are not there any more, or at another place."""
        there = {row.shown["id"]: self.place(row) for row in self.matching(rows)}
        self.throughout = {key: place for key, place in self.throughout.items() if there.get(key) == place}

    def demand_no_gap(self) -> None:
        """Fail unless what was there throughout was shown once, and nothing twice that stayed at its place."""
        assert {key: self.seen.count(key) for key in self.throughout} == dict.fromkeys(self.throughout, 1)
        if self._sort == "created_at":
            assert len(set(self.seen)) == len(self.seen)

    def has_cursor_for(self, query: Mapping[str, str]) -> bool:
        """Tell whether the cursor is good for another query, which must then ask the same."""
        plain = {"sort": "created_at"}
        return {**plain, **query} == {**plain, **self.query}

    def place(self, row: Row) -> tuple[Any, ...]:
        """Return where a row stands in the order."""
        key = row.shown["id"]
        return (key,) if self._sort == "created_at" else (moment(row.shown["updated_at"]), key)

    @property
    def _sort(self) -> str:
        return self.query.get("sort", "created_at").removeprefix("-")

    @property
    def _is_descending(self) -> bool:
        return self.query.get("sort", "").startswith("-")

    def _is_behind(self, row: Row) -> bool:
        assert self.behind is not None
        return self.place(row) < self.behind if self._is_descending else self.place(row) > self.behind

    def _has(self, shown: Mapping[str, Any]) -> bool:
        return all(_meets(shown, name, value) for name, value in self.query.items() if name != "sort")


def _meets(shown: Mapping[str, Any], name: str, value: str) -> bool:
    if name == "tag":
        return value in shown["tags"]
    if name == "q":
        return set(value.split()) <= set(f"{shown['title']} {shown['description']}".split())
    column, _, compare = name.removesuffix("]").partition("[")
    if compare:
        return bool(getattr(moment(shown[column]), _COMPARED[compare])(moment(value)))
    return bool(shown[column] == value)


def moment(text: str) -> datetime:
    """Return the time that a text names."""
    return datetime.fromisoformat(text)
