"""Provisioning: a tenant comes into being in one transaction of the owner, or not at all.

Registry row, role, schema, tables, rights, seed rows; then the new schema's fingerprint must equal the reference's.
Roles and schemas are as transactional as rows in PostgreSQL, so a crash at any point leaves nothing behind.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import MetaData

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection
from leasehold.core.errors import Conflict, DatabaseUnavailable, FieldError, Problem, Unavailable
from leasehold.core.idempotency.key import IdempotencyKey, IdempotencyKeyInUse
from leasehold.core.ids import new_id
from leasehold.core.sqlstate import LOST_CONNECTION, problem_of_driver
from leasehold.tenancy.bind import BindableConnection
from leasehold.tenancy.claims import Claims
from leasehold.tenancy.connections import Connections
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.fleet.fingerprint import fingerprint
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.rendering import render_provisioning
from leasehold.tenancy.fleet.replay import SchemaTarget, build_sql, held_rights, message, undone_by_an_error
from leasehold.tenancy.fleet.segments import Rendering
from leasehold.tenancy.names import (
    APP_ROLE,
    TENANT_GROUP,
    check_slug,
    literal,
    quoted,
    role_name,
    schema_name,
    vacant_slug,
)
from leasehold.tenancy.owner import Owner
from leasehold.tenancy.receipts import RECEIPT_TAKEN, receipt_sql
from leasehold.tenancy.registry import announcement_sql
from leasehold.tenancy.rights import rights_sql
from leasehold.tenancy.slugs import SLUG_TAKEN, demanding_sql, taking_sql
from leasehold.tenancy.vacancies import Claimed, SignUp, claim_vacancies, first_pages_sql

Seed = Callable[[DriverConnection, TenantRef], Awaitable[None]]
"""Writes the first rows of a tenant, on a connection whose transaction is bound to its schema."""

Record = Callable[[DriverConnection, TenantRef, Actor], Awaitable[None]]
"""Writes down who has made a tenant, on the same connection."""

FINGERPRINT = "SELECT fingerprint FROM platform.tenant_revisions WHERE revision = $1"
"""Asks how a schema looks at a revision, when nobody but the migrations has touched it."""

_log = structlog.get_logger(__name__)


class Origin(Protocol):
    """What a new tenant is a copy of."""

    @property
    def tenant_id(self) -> UUID:
        """The id of the new tenant."""
        ...

    @property
    def begin(self) -> str:
        """The statements that begin the transaction in which it is made."""
        ...

    async def fill(self, connection: DriverConnection, tenant: TenantRef) -> None:
        """Fill its tables and write down where they come from, on a connection that is bound to its schema."""
        ...


class SlugTaken(Conflict):
    """Another tenant has this slug, or had it until lately."""

    type = "slug-taken"
    title = "Slug taken"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/slug", "is taken")])


class FleetNotReady(Unavailable):
    """The database does not know the revision of this code yet; run `leasehold migrate all` first."""

    type = "fleet-not-ready"
    title = "Fleet not ready"


class FingerprintMismatch(RuntimeError):
    """The new schema differs from the reference schema of its revision; the tenant was not let in."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Provisioner:
    """Makes tenants and vacancies on connections of the owner, and tenants of vacancies on those of the app."""

    def __init__(
        self,
        *,
        owner: Owner,
        app: Connections,
        history: TenantHistory,
        metadata: MetaData,
        seeds: Sequence[Seed],
        record: Record | None,
        tenant_roles: bool,
    ) -> None:
        self.owner = owner
        self.app = app
        self._history = history
        self._claims = Claims(app, history.head)
        self._metadata = metadata
        self._seeds = seeds
        self._record = record
        self._tenant_roles = tenant_roles
        self._rendering: Rendering | None = None
        self._expected: str | None = None
        """The fingerprint that a new schema must have."""
        self._new_tables: list[dict[str, Any]] | None = None
        """The tables of a new schema, on which nobody holds any right yet; known from the first one on."""

    @property
    def may_build(self) -> bool:
        """Whether this process has the owner's URL."""
        return self.owner.is_there

    @property
    def revision(self) -> str:
        """The revision at which it makes tenants."""
        return self._history.head

    async def provision(self, *, slug: str, name: str, by: Actor, key: IdempotencyKey | None = None) -> TenantRef:
        """Return a new active tenant, complete and committed; with a key it leaves a receipt in the same transaction.

        Raises:
            InvalidSlug: the slug cannot be one.
            SlugTaken: another tenant has it, or had it until lately.
            IdempotencyKeyInUse: there is a receipt for the key, written since the caller looked for one.
            NoOwner: this process has no owner URL.
            FleetNotReady: the platform was not migrated to the revision of this code.
            DatabaseUnavailable: the database does not answer.
            Problem: what else the database refuses, where its SQLSTATE says so.
        """
        check_slug(slug)
        return await self._make(slug, name, by, key)

    async def provision_copy(self, origin: Origin, *, slug: str, name: str) -> TenantRef:
        """Return a new active tenant with what `origin` fills it with, complete and committed.

        Raises:
            InvalidSlug, SlugTaken, NoOwner, FleetNotReady, DatabaseUnavailable, Problem: as for `provision`.
            Exception: whatever `origin` raises; then nothing is left.
        """
        check_slug(slug)
        return await self._make(slug, name, None, None, origin)

    async def claim(
        self, *, slug: str, name: str, by: Actor, under_way: BindableConnection | None = None
    ) -> Claimed | None:
        """Make a vacancy the tenant of this slug, complete, and committed as `provision` does; None if there is none.

        `under_way` is a connection with a transaction of which it shall be a part instead: who holds one already must
        not wait for another.

        Raises:
            InvalidSlug, SlugTaken, DatabaseUnavailable, Problem: as for `provision`.
        """
        check_slug(slug)
        sign_up = SignUp(slug, name, by)
        try:
            if under_way is None:
                return await self._claims.claim(sign_up)
            (claimed,) = await claim_vacancies(under_way, [sign_up], revision=self.revision)
            if claimed:
                under_way.tenants.add(claimed.tenant["id"])
            return claimed
        except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
            problem = _problem_of(error)
            if problem is None:
                raise
            raise problem from error

    async def make_vacancy(self) -> TenantRef:
        """Return a new vacancy, complete and committed: a tenant that waits for a slug, a name and somebody's order.

        Raises:
            NoOwner, FleetNotReady, DatabaseUnavailable: as for `provision`.
        """
        return await self._make(None, "", None, None)

    async def _make(
        self,
        slug: str | None,
        name: str,
        by: Actor | None,
        key: IdempotencyKey | None,
        origin: Origin | None = None,
    ) -> TenantRef:
        rendering, tenant_id = self._rendered(), origin.tenant_id if origin else new_id()
        tenant = TenantRef(
            id=tenant_id,
            slug=slug or vacant_slug(tenant_id),
            schema=schema_name(tenant_id),
            role=role_name(tenant_id),
            state=TenantState.ACTIVE if slug else TenantState.VACANT,
            revision=rendering.target,
        )
        try:
            async with self.owner.connection() as connection:
                if self._expected is None:
                    self._expected = await connection.fetchval(FINGERPRINT, rendering.target)
                if self._expected is None:
                    raise FleetNotReady
                async with undone_by_an_error(connection):
                    await self._build(connection, tenant, name, rendering, by, key, origin)
        except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
            problem = _problem_of(error)
            if problem is None:
                raise
            raise problem from error
        _log.info("tenant_provisioned" if slug else "vacancy_made", tenant=str(tenant.id), slug=slug)
        return tenant

    async def _build(
        self,
        connection: DriverConnection,
        tenant: TenantRef,
        name: str,
        rendering: Rendering,
        by: Actor | None,
        key: IdempotencyKey | None,
        origin: Origin | None,
    ) -> None:
        """Make all of a tenant, in one message as soon as the tables of a new schema are known."""
        target = SchemaTarget(tenant.schema, tenant.role if self._tenant_roles else APP_ROLE)
        # The receipt first: who made the same request before, and died, may have left a backend that still commits it.
        receipt = receipt_sql(key, tenant.id) if key else ""
        row, schema = _row_sql(tenant, name), empty_schema_sql(target, tenant_roles=self._tenant_roles)
        taken = taking_sql(tenant.id, tenant.slug)
        begin = origin.begin if origin else "BEGIN"
        if origin:
            taken = message(taken, demanding_sql(tenant.id, tenant.slug))
        work = message(begin, receipt, row, taken, schema, build_sql(target, rendering))
        if self._new_tables is None:
            await connection.execute(work)
            work = ""
            self._new_tables = [{**row, "privileges": []} for row in await held_rights(connection, target)]
        rights = rights_sql(self._metadata, self._new_tables, schema=target.schema, role=target.role)
        await connection.execute(message(work, *rights))
        for seed in self._seeds:
            await seed(connection, tenant)
        if origin is not None:
            await origin.fill(connection, tenant)
        if by is not None and self._record is not None:
            await self._record(connection, tenant, by)
        if await fingerprint(connection, target) != self._expected:
            self._expected = None  # what was remembered may be what is wrong
            raise FingerprintMismatch
        pages = first_pages_sql(target.schema) if tenant.state is TenantState.VACANT else ""
        memberships = memberships_sql(target) if self._tenant_roles else ""
        await connection.execute(message(pages, memberships, announcement_sql(tenant.id), "COMMIT"))

    def _rendered(self) -> Rendering:
        if self._rendering is None:
            self._rendering = render_provisioning(self._history)
        return self._rendering


def empty_schema_sql(target: SchemaTarget, *, tenant_roles: bool) -> str:
    """Return the statements that make the empty schema of a tenant, and its role where tenants have roles.

    What the role is a member of, and the app of it, comes last: see `memberships_sql`.
    """
    schema = f"CREATE SCHEMA {quoted(target.schema)}"
    return f"{schema}; CREATE ROLE {quoted(target.role)} NOLOGIN" if tenant_roles else schema


def memberships_sql(target: SchemaTarget) -> str:
    """Return the statements by which the app can take on a role, and the role may do what all tenants may.

    From then to the end of the transaction nobody else can make a role a member of the group, so they come last.
    """
    role = quoted(target.role)
    return (
        f"GRANT {TENANT_GROUP} TO {role} WITH INHERIT TRUE, SET FALSE; "
        f"GRANT {role} TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE"
    )


def _problem_of(error: Exception) -> Problem | None:
    """Return what to tell whoever wants a tenant, or None for what is our own fault."""
    if not isinstance(error, asyncpg.PostgresError):
        return DatabaseUnavailable()
    if error.constraint_name in SLUG_TAKEN:
        return SlugTaken()
    return IdempotencyKeyInUse() if error.constraint_name == RECEIPT_TAKEN else problem_of_driver(error)


def _row_sql(tenant: TenantRef, name: str) -> str:
    """Return the INSERT of a tenant's row.

    It comes first, so that of several with one slug all but one wait there and make no schema in vain.
    """
    texts = (str(tenant.id), tenant.slug, tenant.schema, tenant.role, tenant.revision, tenant.state)
    values = ", ".join(map(literal, texts))
    # Whatever people call a tenant, as hexadecimal digits it cannot be taken for SQL.
    spelt = f"convert_from(decode('{name.encode().hex()}', 'hex'), 'UTF8')"
    return (
        "INSERT INTO platform.tenants (id, slug, schema_name, role_name, revision, state, name, cluster, created_at, "
        f"updated_at) VALUES ({values}, {spelt}, 'main', clock_timestamp(), clock_timestamp())"
    )
