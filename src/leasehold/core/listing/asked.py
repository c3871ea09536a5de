"""What one request asks of a list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

MADE = "created_at"
"""The order in which rows were made, which is that of their ids."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An order, and what the rows must be."""

    sort: str
    is_descending: bool
    values: Mapping[str, Any]
    """The values by the names of their parameters; `q` is among them."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked: all rows, in the order they were made."""
        return not self.values and self.sort == MADE and not self.is_descending

    @property
    def shape(self) -> tuple[str, bool, frozenset[str]]:
        """What the statement depends on; requests of one shape differ in values alone."""
        return self.sort, self.is_descending, frozenset(self.values)

    @property
    def scope(self) -> bytes:
        """What a cursor is bound to: none is good for another order, filter or search."""
        if self.is_plain:
            return b""
        return msgspec.json.encode([self.sort, self.is_descending, sorted(self.values.items())])


PLAIN = Asked(MADE, is_descending=False, values={})
"""Nothing."""
