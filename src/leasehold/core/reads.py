"""Reads: statements in SQLAlchemy Core, compiled once for the driver, whose rows go straight into msgspec structs.

A read costs what the query costs: no session, no greenlet, no compiling and no entities between driver and answer.
Values are handed to the driver as they are, and rows fill the struct by position.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Integer, Select, Uuid, bindparam, select
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.orm import InstrumentedAttribute

from leasehold.core.pagination import Page, Pager

StructT = TypeVar("StructT", bound=msgspec.Struct)


class ColumnMismatch(TypeError):
    """A read selects {columns}, but its struct has the fields {fields}."""

    def __init__(self, columns: Sequence[str], fields: Sequence[str]) -> None:
        super().__init__((self.__doc__ or "").format(columns=", ".join(columns), fields=", ".join(fields)))


class Read(Generic[StructT]):
    """A statement with named parameters, and the struct that its rows become."""

    __slots__ = ("_constants", "_names", "sql", "struct")

    def __init__(self, statement: Select[*tuple[Any, ...]], struct: type[StructT]) -> None:
        """Compile a statement.

        Raises:
            ColumnMismatch: the columns are not the fields of the struct, in their order.
        """
        columns = tuple(column.name for column in statement.selected_columns)
        if columns != struct.__struct_fields__:
            raise ColumnMismatch(columns, struct.__struct_fields__)
        # Without a paramstyle the dialect writes $1, $2, ... as the driver wants them.
        compiled = statement.compile(dialect=PGDialect_asyncpg())
        self.sql = compiled.string
        self.struct = struct
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._constants = {name: compiled.params[name] for name in self._names if not compiled.binds[name].required}

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        """Return the driver's arguments: the given values, and the constants that stand in the statement."""
        if self._constants:
            values = self._constants | dict(values)
        return [values[name] for name in self._names]


class Reader(Protocol):
    """Runs reads, each in a read-only transaction of its own."""

    @property
    def tenant_id(self) -> UUID:
        """Whose data is read."""
        ...

    async def one(self, read: Read[StructT], **values: object) -> StructT | None:
        """Return the first row, None if there is none."""
        ...

    async def all(self, read: Read[StructT], **values: object) -> list[StructT]:
        """Return all rows."""
        ...


OpenReader = Callable[[], Awaitable[Reader]]
"""Returns a reader of the tenant, unless who asked may not read any more."""


def columns_of(model: Any, struct: type[msgspec.Struct]) -> tuple[InstrumentedAttribute[Any], ...]:
    """Return the columns of a model that the fields of a struct name, in their order."""
    return tuple(getattr(model, field) for field in struct.__struct_fields__)


class PageRead(Generic[StructT]):
    """The reads of a list in the order its rows were made: its first page, and the page behind a row."""

    def __init__(self, model: Any, struct: type[StructT], *conditions: ColumnElement[bool]) -> None:
        """Compile the reads of the rows that meet some conditions."""
        rows = select(*columns_of(model, struct)).where(*conditions)
        statement = rows.order_by(model.id).limit(bindparam("limit", type_=Integer))
        self._first = Read(statement, struct)
        self._behind = Read(statement.where(model.id > bindparam("after", type_=Uuid)), struct)
        self._name: bytes = model.__tablename__.encode()

    async def page(self, reader: Reader, pager: Pager) -> Page[Any]:
        """Return the page that was asked for; one row more is read than shown, to know whether another follows.

        Raises:
            InvalidCursor: the cursor was not issued for this list of this tenant.
        """
        scope = reader.tenant_id.bytes + self._name
        after = pager.after(scope)
        if after is None:
            return pager.page(await reader.all(self._first, limit=pager.limit + 1), scope)
        return pager.page(await reader.all(self._behind, limit=pager.limit + 1, after=after), scope)
