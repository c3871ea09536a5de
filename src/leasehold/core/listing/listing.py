"""A list: what may be asked of it, and the statements that answer.

Pages continue behind the last row by its place in the order, never by a number of rows: the thousandth costs what the
first does, and rows that come or go meanwhile are neither repeated nor left out. The id breaks ties.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Generic, Self

from sqlalchemy import ColumnElement, Integer, Select, Text, Uuid, bindparam, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from leasehold.core.errors import FieldError, Invalid
from leasehold.core.ids import id_bound
from leasehold.core.listing.asked import MADE, PLAIN, Asked
from leasehold.core.listing.filters import SIMPLE, Filter, Made, Parameters, value_of
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import PageRead, Read, Reader, StructT, columns_of

MAX_Q_LENGTH = 200
_OF_PAGES = {"limit", "cursor"}
_SHAPES = 256


class Listing(Generic[StructT]):
    """The rows of a model that meet some conditions, as structs."""

    def __init__(
        self,
        model: Any,
        struct: type[StructT],
        *conditions: ColumnElement[bool],
        sorts: Mapping[str, InstrumentedAttribute[Any]] | None = None,
        filters: Mapping[str, Filter] | None = None,
        search: ColumnElement[Any] | None = None,
        is_newest_first: bool = False,
    ) -> None:
        """Declare a list.

        `sorts` are columns without null, each with an index on it and the id; the order in which rows were made needs
        none. `search` is what `q` looks through, an expression that is indexed as it stands.
        """
        self._model = model
        self._struct = struct
        self._conditions = conditions
        self.sorts: Mapping[str, InstrumentedAttribute[Any]] = {MADE: model.id, **(sorts or {})}
        self.filters: Mapping[str, Filter] = filters or {}
        self.search = search
        self.kinds = {name: one.kind for key, one in self.filters.items() for name in one.parameters(key)}
        self._parameters: Parameters = {
            name: condition for key, one in self.filters.items() for name, condition in one.parameters(key).items()
        }
        self._made = {
            name for key, one in self.filters.items() if isinstance(one, Made) for name in one.parameters(key)
        }
        self.default = Asked(MADE, is_descending=True, values={}) if is_newest_first else PLAIN
        """What is asked by who says nothing."""
        self._plain = PageRead(model, struct, *conditions)
        self._name: bytes = model.__tablename__.encode()
        self._reads = lru_cache(_SHAPES)(self._read)

    def __deepcopy__(self, _memo: object) -> Self:
        """Return itself: Litestar copies what hangs on a route."""
        return self

    def asked(self, query: Iterable[tuple[str, str]]) -> Asked:
        """Return what a query string asks.

        Raises:
            Invalid: it names what this list has not, or a value that cannot be one.
        """
        faults: list[FieldError] = []
        sort, values = "", dict[str, Any]()
        for name, text in query:
            if name in _OF_PAGES:
                continue
            try:
                if name in values or (name == "sort" and sort):
                    raise ValueError("is said twice")
                if name == "sort":
                    sort = self._sort(text)
                else:
                    values[name] = self._value(name, text)
            except ValueError as error:
                faults.append(FieldError(f"?{name}", str(error)))
        if faults:
            raise Invalid(errors=faults)
        if not sort and not values:
            return self.default
        is_descending = sort.startswith("-") if sort else self.default.is_descending
        return Asked(sort.removeprefix("-") or MADE, is_descending=is_descending, values=values)

    async def page(self, reader: Reader, pager: Pager, asked: Asked) -> Page[Any]:
        """Return the page that was asked for; one row more is read than shown, to know whether another follows.

        Raises:
            InvalidCursor: the cursor was not issued for this list of this tenant, in this order and with these filters.
        """
        if asked is PLAIN:
            return await self._plain.page(reader, pager)
        scope = reader.tenant_id.bytes + self._name + asked.scope
        place = pager.place(scope, self._place_kinds(asked.sort))
        rows = await self._rows(reader, asked, place, pager.limit + 1)
        return pager.page_by(rows, scope, lambda row: self._place_of(row, asked.sort))

    async def page_in(self, session: AsyncSession, pager: Pager, asked: Asked) -> Page[Any]:
        """Return the page that was asked for of a list that is no tenant's.

        Raises:
            InvalidCursor: as for `page`.
        """
        scope = self._name + asked.scope
        place = pager.place(scope, self._place_kinds(asked.sort))
        rows = await self._rows_in(session, asked, place, pager.limit + 1)
        return pager.page_by(rows, scope, lambda row: self._place_of(row, asked.sort))

    async def batch(self, reader: Reader, asked: Asked, *, behind: StructT | None, limit: int) -> list[StructT]:
        """Return up to `limit` rows behind one, or the first ones, for who wants all of them."""
        return await self._rows(reader, asked, self._place_of(behind, asked.sort) if behind else None, limit)

    async def batch_in(
        self, session: AsyncSession, asked: Asked, *, behind: StructT | None, limit: int
    ) -> list[StructT]:
        """Return up to `limit` rows behind one, or the first ones, of a list that is no tenant's."""
        return await self._rows_in(session, asked, self._place_of(behind, asked.sort) if behind else None, limit)

    def statement(self, shape: tuple[str, bool, frozenset[str]], *, is_first: bool) -> Select[*tuple[Any, ...]]:
        """Return the statement for requests of one shape: their first page, or one behind a row."""
        sort, is_descending, names = shape
        key, column = self._model.id, self.sorts[sort]
        order = [key] if sort == MADE else [column, key]
        asked = [self._parameters[name](_named(name)) for name in sorted(names - {"q"})]
        if "q" in names:
            words = func.websearch_to_tsquery(SIMPLE, bindparam("q", type_=Text))
            asked.append(self._searched().bool_op("@@")(words))
        if not is_first:
            behind = [bindparam("after_id", type_=Uuid)]
            behind = behind if sort == MADE else [bindparam("after", type_=column.type), *behind]
            left, right = tuple_(*order), tuple_(*behind)
            asked.append(left < right if is_descending else left > right)
        return (
            select(*columns_of(self._model, self._struct))
            .where(*self._conditions, *asked)
            .order_by(*(one.desc() if is_descending else one for one in order))
            .limit(bindparam("limit", type_=Integer))
        )

    async def _rows(self, reader: Reader, asked: Asked, place: tuple[Any, ...] | None, limit: int) -> list[StructT]:
        values = self._values(asked, place, limit)
        return await reader.all(self._reads(asked.shape, is_first=place is None), **values)

    async def _rows_in(
        self, session: AsyncSession, asked: Asked, place: tuple[Any, ...] | None, limit: int
    ) -> list[StructT]:
        values = self._values(asked, place, limit)
        found = await session.execute(self.statement(asked.shape, is_first=place is None), values)
        return [self._struct(*row) for row in found]

    def _values(self, asked: Asked, place: tuple[Any, ...] | None, limit: int) -> dict[str, Any]:
        """Return the values of a statement, by their names there."""
        values = {
            name if name == "q" else _named(name): id_bound(value) if name in self._made else value
            for name, value in asked.values.items()
        }
        return values | {"limit": limit} | self._place_values(place)

    def _read(self, shape: tuple[str, bool, frozenset[str]], *, is_first: bool) -> Read[StructT]:
        return Read(self.statement(shape, is_first=is_first), self._struct)

    def _searched(self) -> ColumnElement[Any]:
        if self.search is None:
            raise LookupError("this list is not searched")
        return self.search

    def _sort(self, text: str) -> str:
        if text.removeprefix("-") not in self.sorts:
            raise ValueError(f"must be one of {', '.join(self.sorts)}, with a - in front for the other direction")
        return text

    def _value(self, name: str, text: str) -> Any:
        if "\x00" in text:
            raise ValueError("must not have a NUL")
        if name == "q" and self.search is not None:
            if not 1 <= len(text) <= MAX_Q_LENGTH:
                raise ValueError(f"must have 1 to {MAX_Q_LENGTH} letters")
            return text
        if name not in self.kinds:
            raise ValueError("is no parameter of this list")
        return value_of(text, self.kinds[name])

    def _place_kinds(self, sort: str) -> tuple[Any, ...]:
        key = self._model.id.type.python_type
        return (key,) if sort == MADE else (self.sorts[sort].type.python_type, key)

    def _place_of(self, row: Any, sort: str) -> tuple[Any, ...]:
        return (row.id,) if sort == MADE else (getattr(row, sort), row.id)

    @staticmethod
    def _place_values(place: tuple[Any, ...] | None) -> dict[str, Any]:
        if place is None:
            return {}
        return dict(zip(("after_id",) if len(place) == 1 else ("after", "after_id"), place, strict=True))


def _named(parameter: str) -> str:
    """Return the name of a parameter's value in a statement."""
    return "by_" + parameter.replace("[", "_").replace("]", "")
