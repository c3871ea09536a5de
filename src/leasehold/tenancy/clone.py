"""Copies a tenant inside of an installation: its rows go from schema to schema in the server, in one transaction.

No file and no stream comes between them, so no copy of what is personal is left anywhere: what is replaced is replaced
on the way, and never stands in the copy. All of it is of one snapshot, and the source goes on meanwhile. Before that
snapshot is taken, the tables of the source are locked against changes of their shape: one that is rewritten behind it
would look empty.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import MetaData, Table

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection
from leasehold.core.errors import Conflict
from leasehold.core.personal import copied, extent_of
from leasehold.tenancy.audit.owner import record_clone
from leasehold.tenancy.bind.moved import PLACE
from leasehold.tenancy.context import TenantPutBack, TenantRef, TenantState
from leasehold.tenancy.names import quoted
from leasehold.tenancy.provision import Provisioner
from leasehold.tenancy.states import LIVING, WrongTenantState

_LOCK_TIMEOUT = "5s"
_SOURCE = "SELECT state, revision, schema_name FROM platform.tenants WHERE id = $1"
# A copy is to behave like its source; what it may have is part of that.
_TERMS = """
UPDATE platform.tenants t
   SET plan = s.plan, limits = s.limits, features = s.features, rate_limits = s.rate_limits,
       terms_version = t.terms_version + 1
  FROM platform.tenants s
 WHERE s.id = $1 AND t.id = $2
"""

Report = Callable[[str, int], object]
"""Is told which table was copied, and how many rows it had."""


class SourceNotMigrated(Conflict):
    """The tenant is at revision {revision}, and a copy would be at {head}; migrate it first."""

    type = "source-not-migrated"
    title = "Source not migrated"


@dataclass(frozen=True, slots=True)
class Cloned:
    """What a copy came to."""

    tenant: TenantRef
    rows: dict[str, int]
    """How many rows each table got."""


class Cloner:
    """Copies tenants, on connections of the owner."""

    def __init__(self, provisioner: Provisioner, metadata: MetaData) -> None:
        self._provisioner = provisioner
        self._tables = [table for table in metadata.sorted_tables if extent_of(table) == "everywhere"]

    async def clone(
        self,
        source_id: UUID,
        *,
        tenant_id: UUID,
        slug: str,
        name: str,
        is_scrubbed: bool,
        by: Actor,
        report: Report = lambda _table, _rows: None,
    ) -> Cloned:
        """Make a tenant of this id that has what the source has, but what lets somebody in, and return what it got.

        It has a pepper and terms of its own; domains, jobs and mails stay with the source. If it is scrubbed, whatever
        the models call personal is replaced by their rules.

        Raises:
            WrongTenantState: the source is not active, suspended or in maintenance.
            SourceNotMigrated: it is not at the revision of this code.
            InvalidSlug, SlugTaken, NoOwner, FleetNotReady, DatabaseUnavailable: see `Provisioner.provision`.
            Problem: a migration holds a table of the source.
        """
        async with self._provisioner.owner.connection() as connection:
            head = self._provisioner.revision
            schema = await _demand_source(connection, source_id, head=head)
            copy = _Copy(source_id, schema, tenant_id, self._tables, is_scrubbed=is_scrubbed, by=by, report=report)
        try:
            tenant = await self._provisioner.provision_copy(copy, slug=slug, name=name)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            # What is not there could not be locked, and that comes first.
            async with self._provisioner.owner.connection() as connection:
                await _demand_source(connection, source_id, head=head)
                place: Any = await connection.fetchrow(PLACE, source_id)
            _, lives_in, was_put_back = place
            if lives_in != schema or was_put_back:
                raise TenantPutBack from None
            raise
        return Cloned(tenant, copy.rows)


async def _demand_source(connection: DriverConnection, source_id: UUID, *, head: str) -> str:
    """Return the schema of a tenant that can be copied."""
    source = await connection.fetchrow(_SOURCE, source_id)
    if source is None or source["state"] not in LIVING:
        raise WrongTenantState(state=source["state"] if source else TenantState.PURGED)
    if source["revision"] != head:
        raise SourceNotMigrated(revision=source["revision"], head=head)
    return source["schema_name"]


@dataclass(slots=True)
class _Copy:
    source_id: UUID
    schema: str
    """Where the source lives."""
    tenant_id: UUID
    tables: list[Table]
    is_scrubbed: bool
    by: Actor
    report: Report
    rows: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def begin(self) -> str:
        """The statements that begin the transaction: the locks, and only then, by whatever follows, the snapshot."""
        locked = ", ".join(self._in_source(table) for table in self.tables)
        return (
            f"BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'; "
            f"LOCK TABLE {locked} IN ROW SHARE MODE"  # against migrations, and against a move of the source
        )

    async def fill(self, connection: DriverConnection, tenant: TenantRef) -> None:
        """Copy the rows.

        Raises:
            WrongTenantState, SourceNotMigrated: as for `Cloner.clone`.
        """
        if await _demand_source(connection, self.source_id, head=tenant.revision) != self.schema:
            raise TenantPutBack
        for table in self.tables:
            status = await connection.execute(self._copying(table, tenant.schema))
            self.rows[table.name] = int(status.rpartition(" ")[2])
            self.report(table.name, self.rows[table.name])
        await connection.execute(_TERMS, self.source_id, tenant.id)
        await record_clone(
            connection,
            tenant,
            self.by,
            source_id=self.source_id,
            source_schema=self.schema,
            is_scrubbed=self.is_scrubbed,
        )

    def _copying(self, table: Table, schema: str) -> str:
        columns = [column for column in table.columns if column.computed is None]
        names = ", ".join(quoted(column.name) for column in columns)
        values = ", ".join(copied(column, is_scrubbed=self.is_scrubbed) or quoted(column.name) for column in columns)
        into = f"{quoted(schema)}.{quoted(table.name)}"
        return f"INSERT INTO {into} ({names}) SELECT {values} FROM {self._in_source(table)}"  # names of ours

    def _in_source(self, table: Table) -> str:
        return f"{quoted(self.schema)}.{quoted(table.name)}"
