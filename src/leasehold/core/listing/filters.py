"""What a list may be filtered by, and how the texts of a query string become values for it."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, DateTime, Text, Uuid, any_, bindparam, func, text
from sqlalchemy.orm import InstrumentedAttribute

SIMPLE = text("'simple'")
"""The text search configuration, as a constant: an index is of use only to the very expression that it is on."""
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
}
Parameters = Mapping[str, Callable[[str], ColumnElement[bool]]]
"""The parameters of a filter, each with what makes the condition, given the name of its value."""


@dataclass(frozen=True, slots=True)
class Equal:
    """Rows that have this value: `?status=open`."""

    column: InstrumentedAttribute[Any]
    kind: Any
    """What the value must be, as msgspec has it."""

    def parameters(self, name: str) -> Parameters:
        """Return the one parameter."""
        return {name: lambda value: self.column == bindparam(value, type_=self.column.type)}


@dataclass(frozen=True, slots=True)
class Holds:
    """Rows whose array of texts has this one: `?tag=oak`."""

    column: InstrumentedAttribute[list[str]]
    kind: Any
    """What the text must be, as msgspec has it."""

    def parameters(self, name: str) -> Parameters:
        """Return the one parameter."""
        array = cast("ColumnElement[Any]", self.column)
        return {name: lambda value: bindparam(value, type_=Text) == any_(array)}


@dataclass(frozen=True, slots=True)
class Between:
    """Rows of a range of time: `?updated_at[gte]=...&updated_at[lt]=...`."""

    column: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]
    kind = datetime

    def parameters(self, name: str) -> Parameters:
        """Return a parameter for each side."""
        return {f"{name}[{op}]": self._condition(compare) for op, compare in _OPERATORS.items()}

    def _condition(self, compare: Callable[[Any, Any], Any]) -> Callable[[str], ColumnElement[bool]]:
        return lambda value: compare(self.column, bindparam(value, type_=DateTime(timezone=True)))


@dataclass(frozen=True, slots=True)
class Made:
    """Rows of a range of the time in which they were made, by their ids: `?created_at[gte]=...&created_at[lt]=...`.

    Whatever else is asked for, one index gives the rows in their order.
    """

    column: InstrumentedAttribute[UUID]
    kind = datetime

    def parameters(self, name: str) -> Parameters:
        """Return a parameter for each side."""
        return {f"{name}[{op}]": self._condition(_OPERATORS[op]) for op in ("gte", "lt")}

    def _condition(self, compare: Callable[[Any, Any], Any]) -> Callable[[str], ColumnElement[bool]]:
        return lambda value: compare(self.column, bindparam(value, type_=Uuid))


Filter = Equal | Holds | Between | Made


def searchable(*columns: InstrumentedAttribute[str]) -> ColumnElement[Any]:
    """Return the words of some columns, for an index and for `q`: as they are written, in no language (`simple`)."""
    joined: Any = columns[0]
    for column in columns[1:]:
        joined = joined.op("||")(text("' '")).op("||")(column)
    return func.to_tsvector(SIMPLE, joined)


def searchable_names(first: InstrumentedAttribute[str], *more: InstrumentedAttribute[str | None]) -> ColumnElement[Any]:
    """Return the words of columns that hold names like `key.secret_rotated`, for an index and for `q`.

    PostgreSQL takes `token.revoked` for the name of a host, which is one word. So each name is there twice, as it is
    written and with spaces in place of its dots and underscores, and is found by the whole of it and by each part.
    """
    joined: Any = first
    for column in more:
        joined = joined.op("||")(text("' '")).op("||")(func.coalesce(column, text("''")))
    parts = func.translate(joined, text("'._'"), text("'  '"))
    return func.to_tsvector(SIMPLE, joined.op("||")(text("' '")).op("||")(parts))


def value_of(text: str, kind: Any) -> Any:
    """Return the value that a text of the query string names.

    Raises:
        ValueError: it names none of this kind; the text says why.
    """
    if kind is bool and text not in {"true", "false"}:
        raise ValueError("must be true or false")
    try:
        value = msgspec.convert(text == "true" if kind is bool else text, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        raise ValueError(message[:1].lower() + message[1:]) from error
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("must name its zone")
    return value
