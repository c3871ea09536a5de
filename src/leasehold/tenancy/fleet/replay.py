"""Replays the segments of a rendering in one schema: each binds anew, and looks at the version row before it begins.

So a replay that was killed is taken up by another one, rendered from where the schema stands then, and two at once
cannot both do the same.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import MetaData

from leasehold.core.database import DriverConnection
from leasehold.tenancy.fleet.indexes import run_concurrently
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.segments import Rendering, Segment
from leasehold.tenancy.names import VERSION_TABLE, literal, quoted
from leasehold.tenancy.rights import HELD_RIGHTS, rights_sql


class NoLiveRevisions(RuntimeError):
    """Revision {revision} is live, and can only be run by `leasehold migrate`."""

    def __init__(self, revision: str | None) -> None:
        super().__init__((self.__doc__ or "").format(revision=revision or "base"))


@dataclass(frozen=True, slots=True)
class SchemaTarget:
    """A schema to be migrated and the role that uses it."""

    schema: str
    role: str


Closing = Callable[[], str]
"""Returns what is said last in a transaction, when it is said."""

RunLive = Callable[[SchemaTarget, Segment, Limits, Closing], Awaitable[None]]
"""Runs the revision of a live segment in a schema, with what closes its transaction."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How segments are applied: with which rights, limits and fence."""

    metadata: MetaData
    limits: Limits
    fence: str
    """A statement that fails once this run may change nothing any more."""
    run_live: RunLive
    tables: Mapping[str, frozenset[str]]
    """The tables that a schema has at each revision that a segment ends at."""
    _held: dict[Segment, list[Mapping[str, Any]]] = field(default_factory=dict[Segment, list[Mapping[str, Any]]])

    async def apply(
        self, connection: DriverConnection, target: SchemaTarget, segment: Segment, closing: Closing
    ) -> None:
        """Apply one segment. What `closing` returns is said before the COMMIT of its transaction, where it has one.

        A transaction is one message, for a schema is changed as fast as it is told how. Fence and COMMIT stand in it
        together: a runner that is stopped before it sends them has changed nothing, and one that is stopped afterwards
        has nothing left to do. Only for the first schema are there three, to learn which rights are to be granted.

        Raises:
            asyncpg.PostgresError: a statement failed, the schema stands elsewhere, or the fence fell; nothing of the
                segment stays, unless it runs outside a transaction.
            LiveRevisionFailed: the same, for what a live revision raises.
        """
        if segment.is_live:
            await self.run_live(target, segment, self.limits, lambda: message(closing(), self.fence))
        elif segment.autocommit:
            await self._apply_alone(connection, target, segment)
        else:
            await self._apply_together(connection, target, segment, closing)

    async def _apply_together(
        self, connection: DriverConnection, target: SchemaTarget, segment: Segment, closing: Closing
    ) -> None:
        async with undone_by_an_error(connection):
            opening = message("BEGIN", binding(target.schema), self.limits.in_transaction)
            work = message(opening, demand_revision(segment.start), segment.script)
            if (held := self._held.get(segment)) is None:
                await connection.execute(work)
                held, work = await held_rights(connection, target), ""
                self._learn(segment, held)
            rights = rights_sql(self.metadata, held, schema=target.schema, role=target.role)
            await connection.execute(message(work, *rights, closing(), self.fence, "COMMIT"))

    def _learn(self, segment: Segment, held: list[Mapping[str, Any]]) -> None:
        """Remember what a role held after a segment, on the tables that every schema has then."""
        tables = self.tables.get(segment.end or "")
        if tables is not None:
            found = {row["table_name"]: row["privileges"] for row in held}
            self._held[segment] = [{"table_name": name, "privileges": found.get(name, [])} for name in [None, *tables]]

    async def _apply_alone(self, connection: DriverConnection, target: SchemaTarget, segment: Segment) -> None:
        """Run each statement outside a transaction; path and limits are set on the connection meanwhile."""
        path = f"SET search_path = {quoted(target.schema)}, pg_temp"
        try:
            for statement in segment.statements:
                await connection.execute(message(path, self.limits.alone, demand_revision(segment.start), self.fence))
                await run_concurrently(connection, target.schema, statement)
        finally:
            if not connection.is_closed():
                await connection.execute("RESET search_path; RESET lock_timeout; RESET statement_timeout")


@asynccontextmanager
async def undone_by_an_error(connection: DriverConnection) -> AsyncGenerator[None]:
    """Roll back what was begun by hand if anything goes wrong; the COMMIT stands in a message with other statements."""
    try:
        yield
    except Exception:
        if not connection.is_closed():
            await connection.execute("ROLLBACK")
        raise
    except BaseException:
        connection.terminate()
        raise


def build_sql(target: SchemaTarget, rendering: Rendering) -> str:
    """Return what fills an empty schema, in the transaction of who made it and can wait for nobody.

    Raises:
        NoLiveRevisions: the rendering is not one for an empty schema.
    """
    for segment in rendering.segments:
        if segment.is_live or segment.autocommit:
            raise NoLiveRevisions(segment.end)
    return message(binding(target.schema), *(segment.script for segment in rendering.segments))


async def held_rights(connection: DriverConnection, target: SchemaTarget) -> list[Mapping[str, Any]]:
    """Return what the role holds on each table that is there now, and (without a table's name) on the schema."""
    return [dict(row) for row in await connection.fetch(HELD_RIGHTS, target.schema, target.role)]


async def rights_to_grant(connection: DriverConnection, target: SchemaTarget, metadata: MetaData) -> list[str]:
    """Return what is missing for the role to hold what the models declare on the tables that are there now."""
    held = await held_rights(connection, target)
    return rights_sql(metadata, held, schema=target.schema, role=target.role)


def binding(schema: str) -> str:
    """Return the statement that puts a transaction of the owner on one schema."""
    return f"SET LOCAL search_path = {quoted(schema)}, pg_temp"


def demand_revision(expected: str | None) -> str:
    """Return the statement that locks the version row of the bound schema, and fails where it says something else."""
    if expected is None:  # a schema that has none yet
        return ""
    actual = f"(SELECT version_num FROM {VERSION_TABLE} FOR UPDATE)"
    return f"SELECT platform.demand_revision({actual}, {literal(expected)})"


def message(*statements: str) -> str:
    """Return several statements as one message to PostgreSQL, which runs them without waiting for us in between."""
    return "; ".join(statement for statement in statements if statement)
