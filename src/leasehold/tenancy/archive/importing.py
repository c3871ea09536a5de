"""Takes a tenant out of an archive: all of it in one transaction of the owner, or nothing."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import structlog
from msgspec import Struct
from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection, open_engine
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.building import Way, build, go_on
from leasehold.tenancy.archive.copying import FORMATS, copy_out
from leasehold.tenancy.archive.exporting import installation_mark
from leasehold.tenancy.archive.indexes import set_aside
from leasehold.tenancy.archive.manifest import ArchivedTable
from leasehold.tenancy.archive.moving import SecretsMoving
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.refusals import CameBackOtherwise, DoesNotFit
from leasehold.tenancy.archive.registering import (
    Registration,
    choose_id,
    demand_domains,
    demand_terms,
    refusal_of,
    register,
)
from leasehold.tenancy.archive.reissue import BoundToId, Reissue, revoke_all
from leasehold.tenancy.archive.rewrapping import RowChange
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.shape import TableShape
from leasehold.tenancy.audit.owner import record_import
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.fleet.fingerprint import fingerprint
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.live import begun
from leasehold.tenancy.fleet.replay import SchemaTarget, binding, message, rights_to_grant
from leasehold.tenancy.names import APP_ROLE, check_slug, role_name, schema_name
from leasehold.tenancy.owner import NoOwner, demand_direct
from leasehold.tenancy.provision import FINGERPRINT, FingerprintMismatch, FleetNotReady, schema_sql
from leasehold.tenancy.registry import announcement_sql
from leasehold.tenancy.secrets import SecretColumn

_log = structlog.get_logger(__name__)

_OF_ROWS = frozenset({"22", "23", "54"})
"""Classes of errors that say that a row is none: its values, a rule that they break, or that they are too much."""

Adjust = Callable[[DriverConnection, TenantRef], Awaitable[object]]
"""Changes what was loaded and compared, in a schema at head to which the path leads."""


class Imported(Struct, frozen=True):
    """What an import came to."""

    id: UUID
    slug: str
    state: TenantState
    revision: str
    archive_revision: str
    """Where the schema stood when the archive was made."""
    rows: int
    bytes: int
    has_kept_id: bool
    """Whether it has the id that it had, and with it the credentials that name it."""
    is_from_here: bool
    """Whether this installation made the archive: another one's access tokens do not work here."""
    reissue: tuple[Reissue, ...]
    """What was ended because the id is another one."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a tenant shall come to: what is None is as the archive says."""

    slug: str | None = None
    name: str | None = None
    plan: str | None = None
    with_domains: bool = True
    with_new_id: bool = False
    """Give it another id even where its own is free."""


@dataclass(frozen=True, slots=True)
class Importer:
    """Takes tenants out of archives, on a connection of the owner for each."""

    owner_url: str | None
    history: TenantHistory
    metadata: MetaData
    key: InstallationKey
    secrets: Sequence[SecretColumn]
    bound_to_id: Sequence[BoundToId]
    tenant_roles: bool
    base_domain: str
    """The installation's own, under which no tenant has a domain."""
    _ways: dict[str, Way] = field(default_factory=dict[str, Way])
    """Those that were rendered, by the revision of the archive."""

    async def load(
        self,
        archive: ArchiveFile,
        key: ArchiveKey,
        *,
        to: Destination,
        by: Actor,
        progress: Progress = SILENT,
        adjust: Sequence[Adjust] = (),
    ) -> Imported:
        """Make the tenant of an archive, at head, equal to what was exported, and committed.

        It is served once this returns, unless it was suspended when it was exported. Under the id of the archive where
        that is free; under another one what carries the id is ended, and told.

        Raises:
            NoOwner: this process has no owner URL, or one that leads to a pooler.
            ArchiveRefused: what the archive holds cannot be had here, or not whole.
            InvalidSlug, SlugTaken: the tenant cannot have its slug.
            FleetNotReady: the platform was not migrated to the revision of this code.
            FingerprintMismatch: the schema came out otherwise than the reference; the fault is ours.
            LiveRevisionFailed, Unrenderable: a revision behind that of the archive cannot be run.
            DatabaseUnavailable: the database does not answer.
        """
        if self.owner_url is None:
            raise NoOwner
        manifest = archive.manifest
        check_slug(to.slug or manifest.tenant.slug)
        way = self._ways.get(manifest.revision) or Way.of(self.history, manifest)
        self._ways[manifest.revision] = way
        progress.on_start(3 * len(manifest.tables))
        archive.verify(progress=progress)
        async with _transaction(self.owner_url) as (connection, driver):
            load = _Load(self, archive, key, to, by, progress, adjust, connection, driver)
            done = await load.run(way)
        _log.info("tenant_imported", tenant=str(done.id), slug=done.slug, rows=done.rows)
        return done


@dataclass(slots=True)
class _Load:
    """One import, in its transaction."""

    importer: Importer
    archive: ArchiveFile
    key: ArchiveKey
    to: Destination
    by: Actor
    progress: Progress
    adjust: Sequence[Adjust]
    connection: AsyncConnection
    driver: DriverConnection

    async def run(self, way: Way) -> Imported:
        importer, manifest, driver = self.importer, self.archive.manifest, self.driver
        expected = await driver.fetchval(FINGERPRINT, importer.history.head)
        if expected is None:
            raise FleetNotReady
        tenant = await self._registered()
        target = SchemaTarget(tenant.schema, tenant.role if importer.tenant_roles else APP_ROLE)
        await driver.execute(schema_sql(target, tenant_roles=importer.tenant_roles))
        shapes = await build(driver, target, way, manifest)
        await driver.execute(FORMATS)
        archived = {table.name: table for table in manifest.tables}
        indexes = await set_aside(driver, target.schema)
        for shape in shapes:
            await self._fill(shape, archived[shape.name], tenant)
        await driver.execute(indexes)
        for shape in shapes:
            await self._compare(shape, archived[shape.name], tenant)
        await go_on(self.connection, driver, target, importer.history, way.on)
        has_kept_id = tenant.id == manifest.tenant.id
        reissue = [] if has_kept_id else await revoke_all(driver, importer.bound_to_id)
        for adjust in self.adjust:
            await adjust(driver, tenant)
        await driver.execute(message(binding(target.schema), *await rights_to_grant(driver, target, importer.metadata)))
        changes = {"made_at": manifest.made_at, "archived_id": str(manifest.tenant.id), "revision": manifest.revision}
        await record_import(driver, tenant.id, self.by, slug=tenant.slug, changes=changes)
        if await fingerprint(driver, target) != expected:
            raise FingerprintMismatch
        await driver.execute(announcement_sql(tenant.id))
        return Imported(
            tenant.id,
            tenant.slug,
            tenant.state,
            tenant.revision,
            manifest.revision,
            manifest.rows,
            manifest.bytes,
            has_kept_id,
            is_from_here=manifest.installation == installation_mark(importer.key),
            reissue=tuple(reissue),
        )

    async def _registered(self) -> TenantRef:
        archived, to = self.archive.manifest.tenant, self.to
        tenant_id = await choose_id(
            self.driver, archived.id, tenant_roles=self.importer.tenant_roles, anew=to.with_new_id
        )
        tenant = TenantRef(
            id=tenant_id,
            slug=to.slug or archived.slug,
            schema=schema_name(tenant_id),
            role=role_name(tenant_id),
            state=TenantState.SUSPENDED if archived.is_suspended else TenantState.ACTIVE,
            revision=self.importer.history.head,
        )
        domains = archived.domains if to.with_domains else ()
        demand_terms(archived)
        demand_domains(domains, base_domain=self.importer.base_domain)
        await register(
            self.driver, Registration(tenant, archived, to.name or archived.name, to.plan or archived.plan, domains)
        )
        return tenant

    async def _fill(self, shape: TableShape, table: ArchivedTable, tenant: TenantRef) -> None:
        change = self._secrets(tenant).inward(table.name, table.columns)
        try:
            await self.driver.copy_to_table(
                table.name,
                schema_name=shape.schema,
                columns=list(table.columns),
                source=self._source(self.archive.pieces(table), change),
            )
        except asyncpg.PostgresError as error:
            if (error.sqlstate or "")[:2] not in _OF_ROWS:
                raise
            reason = f"the table {table.name} refuses its rows ({error.args[0]})"  # without a detail, which has a row
            raise DoesNotFit(revision=self.archive.manifest.revision, reason=reason) from error
        self.progress.on_table(f"loaded {table.name}, {table.rows} rows", table.bytes)

    async def _source(self, pieces: Iterator[bytes], change: RowChange | None) -> AsyncGenerator[bytes]:
        for piece in pieces:
            self.progress.on_bytes(len(piece))
            yield change.feed(piece) if change else piece
        if change:
            change.finish()

    async def _compare(self, shape: TableShape, table: ArchivedTable, tenant: TenantRef) -> None:
        """Read a table again, and pass if it is what was exported."""
        change = self._secrets(tenant).outward(table.name, table.columns)

        def take(piece: bytes) -> None:
            self.progress.on_bytes(len(piece))

        found = await copy_out(self.driver, shape.query(table.columns), take, change=change)
        if (found.rows, found.bytes, found.sha256) != (table.rows, table.bytes, table.sha256):
            raise CameBackOtherwise(table=table.name)
        self.progress.on_table(f"compared {table.name}", table.bytes)

    def _secrets(self, tenant: TenantRef) -> SecretsMoving:
        importer = self.importer
        archived_id = self.archive.manifest.tenant.id
        return SecretsMoving(importer.secrets, importer.key, self.key, here=tenant.id, there=archived_id)


@asynccontextmanager
async def _transaction(owner_url: str) -> AsyncGenerator[tuple[AsyncConnection, DriverConnection]]:
    """Lend a transaction of the owner, to Alembic as SQLAlchemy has it, and to all else as the driver has it."""
    engine = open_engine(owner_url, pool_size=None, application_name="leasehold import")
    try:
        async with engine.connect() as connection, connection.begin():
            driver = await begun(connection)
            await demand_direct(driver)
            yield connection, driver
    except (DBAPIError, asyncpg.PostgresError) as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from error
    except LOST_CONNECTION as error:
        raise DatabaseUnavailable from error
    finally:
        await engine.dispose()
