"""Takes a tenant out of an archive: all of it in one transaction of the owner, or nothing."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog
from msgspec import Struct
from sqlalchemy.exc import DBAPIError

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection, open_engine
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.tenancy.archive.exporting import installation_mark
from leasehold.tenancy.archive.filling import Connected, Filler, Filling
from leasehold.tenancy.archive.progress import SILENT, Progress
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.archive.refusals import IdInUse
from leasehold.tenancy.archive.registering import (
    Registration,
    as_awaited,
    choose_home,
    choose_id,
    demand_domains,
    demand_terms,
    refusal_of,
    register,
)
from leasehold.tenancy.archive.reissue import BoundToId, Reissue, revoke_all
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.audit.owner import record_import
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.fleet.live import begun
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.names import APP_ROLE, check_slug
from leasehold.tenancy.owner import LETS_GO, NoOwner, demand_direct
from leasehold.tenancy.provision import empty_schema_sql, memberships_sql
from leasehold.tenancy.registry import announcement_sql

_log = structlog.get_logger(__name__)

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
    with_own_id: bool = False
    """Leave it rather than give it another id, where it shall come back as it was."""


@dataclass(frozen=True, slots=True)
class Importer:
    """Takes tenants out of archives, on a connection of the owner for each."""

    owner_url: str | None
    filler: Filler
    bound_to_id: Sequence[BoundToId]
    tenant_roles: bool
    base_domain: str
    """The installation's own, under which no tenant has a domain."""

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
        check_slug(to.slug or archive.manifest.tenant.slug)
        async with self.begun(archive, progress=progress) as connected:
            done = await _Load(self, archive, key, to, by, progress, adjust, connected).run()
        _log.info("tenant_imported", tenant=str(done.id), slug=done.slug, rows=done.rows)
        return done

    @asynccontextmanager
    async def begun(self, archive: ArchiveFile, *, progress: Progress) -> AsyncGenerator[Connected]:
        """Lend a transaction in which an archive can be loaded that was read to its end, and that this code can read.

        Raises:
            NoOwner, ArchiveRefused, Unrenderable, DatabaseUnavailable: as for `load`.
        """
        if self.owner_url is None:
            raise NoOwner
        self.filler.way(archive.manifest)  # rendered before a transaction is open
        progress.on_start(3 * len(archive.manifest.tables))
        archive.verify(progress=progress)
        async with _transaction(self.owner_url) as connected:
            yield connected

    def target(self, schema: str, role: str) -> SchemaTarget:
        """Return a schema with the role that shall have rights on it, which is the app's where tenants have none."""
        return SchemaTarget(schema, role if self.tenant_roles else APP_ROLE)


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
    connected: Connected

    async def run(self) -> Imported:
        importer, manifest, driver = self.importer, self.archive.manifest, self.connected.driver
        expected = await importer.filler.expected(driver)
        tenant = await self._registered()
        target = importer.target(tenant.schema, tenant.role)
        await driver.execute(empty_schema_sql(target, tenant_roles=importer.tenant_roles))
        filling = Filling(importer.filler, self.archive, self.key, self.connected, target, tenant.id, self.progress)
        await filling.fill()
        has_kept_id = tenant.id == manifest.tenant.id
        reissue = [] if has_kept_id else await revoke_all(driver, importer.bound_to_id)
        for adjust in self.adjust:
            await adjust(driver, tenant)
        await filling.grant()
        changes = {"made_at": manifest.made_at, "archived_id": str(manifest.tenant.id), "revision": manifest.revision}
        await record_import(driver, tenant.id, self.by, slug=tenant.slug, changes=changes)
        await filling.demand(expected)
        await driver.execute(LETS_GO)
        if importer.tenant_roles:
            await driver.execute(memberships_sql(target))
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
            is_from_here=manifest.installation == installation_mark(importer.filler.key),
            reissue=tuple(reissue),
        )

    async def _registered(self) -> TenantRef:
        archived, to, driver = self.archive.manifest.tenant, self.to, self.connected.driver
        tenant_id = await choose_id(driver, archived.id, anew=to.with_new_id)
        if to.with_own_id and tenant_id != archived.id:
            raise IdInUse(slug=archived.slug)
        if tenant_id == archived.id:
            archived = await as_awaited(driver, archived)
        home = await choose_home(driver, tenant_id, tenant_roles=self.importer.tenant_roles)
        tenant = TenantRef(
            id=tenant_id,
            slug=to.slug or archived.slug,
            schema=home.schema,
            role=home.role,
            state=TenantState.SUSPENDED if archived.is_suspended else TenantState.ACTIVE,
            revision=self.importer.filler.history.head,
        )
        domains = archived.domains if to.with_domains else ()
        demand_terms(archived)
        demand_domains(domains, base_domain=self.importer.base_domain)
        await register(
            driver, Registration(tenant, archived, to.name or archived.name, to.plan or archived.plan, domains)
        )
        return tenant


@asynccontextmanager
async def _transaction(owner_url: str) -> AsyncGenerator[Connected]:
    """Lend a transaction of the owner, to Alembic as SQLAlchemy has it, and to all else as the driver has it."""
    engine = open_engine(owner_url, pool_size=None, application_name="leasehold import")
    try:
        async with engine.connect() as connection, connection.begin():
            driver = await begun(connection)
            await demand_direct(driver)
            yield Connected(connection, driver)
    except (DBAPIError, asyncpg.PostgresError) as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        raise refusal from error
    except LOST_CONNECTION as error:
        raise DatabaseUnavailable from error
    finally:
        await engine.dispose()
