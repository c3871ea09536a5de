"""The registry: the tables in which the platform keeps its tenants, their domains, the log of their changes, and the
ledger of what was done to the fleet.

A change is announced in the transaction that makes it. The log tells every process what to read again: rows carry
the id of their transaction, because a plain sequence is handed out before commit and a reader would skip late rows.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.clock import utc_now
from leasehold.core.ids import new_id
from leasehold.core.listing.filters import searchable
from leasehold.core.models import Identified, PlatformModel, Timestamped
from leasehold.tenancy.context import TenantRef, TenantState, UnknownTenant
from leasehold.tenancy.entitlements import DEFAULT_PLAN, Entitlements, entitlements_of
from leasehold.tenancy.names import literal
from leasehold.tenancy.plans import Plan, Terms, are_objects

CHANNEL = "leasehold_registry"
_STATES = ", ".join(f"'{state}'" for state in TenantState)
_CURRENT_XACT = text("pg_current_xact_id()::text::bigint")


class NoActiveTenant(UnknownTenant):
    """There is no active tenant {slug}."""


class Tenant(Terms, Identified, Timestamped, PlatformModel):
    """One customer. Its terms are those that differ from its plan's."""

    __tablename__ = "tenants"
    __table_args__ = (
        CheckConstraint(f"state IN ({_STATES})", name="state"),
        *are_objects("limits", "features", "rate_limits"),
        Index("ix_tenants_vacant", "id", postgresql_where=text("state = 'vacant'")),
        Index("ix_tenants_purge_at", "purge_at", postgresql_where=text("state IN ('deleted', 'purging')")),
        {"info": {"rights": "read_update"}},
    )

    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    schema_name: Mapped[str] = mapped_column(unique=True)
    role_name: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    cluster: Mapped[str] = mapped_column(server_default="main")
    revision: Mapped[str]
    is_canary: Mapped[bool] = mapped_column(server_default="false")
    is_read_only: Mapped[bool] = mapped_column(server_default="false")
    """Whether it can be read in maintenance; false in every other state."""
    maintenance_ends_at: Mapped[datetime | None]
    """How long the maintenance is planned for."""
    deleted_at: Mapped[datetime | None]
    deleted_from: Mapped[str | None]
    """The state in which it was deleted, to which it can be restored."""
    purge_at: Mapped[datetime | None]
    """When all that it has is destroyed, if it is not restored before."""
    plan: Mapped[str] = mapped_column(ForeignKey(Plan.name), index=True, server_default=DEFAULT_PLAN)
    deletion_requested_at: Mapped[datetime | None]
    """When the tenant itself asked to be deleted."""


SEARCHED = searchable(Tenant.slug, Tenant.name)
Index("ix_tenants_search", SEARCHED, postgresql_using="gin")


class TenantDomain(Identified, PlatformModel):
    """A custom domain on which a tenant answers."""

    __tablename__ = "tenant_domains"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey(Tenant.id), index=True)
    hostname: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class TenantPurge(Identified, PlatformModel):
    """The destruction of all that a tenant had; without `finished_at` it is under way."""

    __tablename__ = "tenant_purges"
    __table_args__ = ({"info": {"rights": "read_only"}},)

    tenant_id: Mapped[UUID] = mapped_column(unique=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    row_counts: Mapped[Any] = mapped_column(JSONB)
    """How many rows each table had when it was dropped."""


class TenantRestore(Identified, PlatformModel):
    """A tenant that was put back to an earlier state, and what it had instead, until that is confirmed."""

    __tablename__ = "tenant_restores"
    __table_args__ = ({"info": {"rights": "read_only", "travels": False}},)

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey(Tenant.id), unique=True)
    aside_id: Mapped[UUID] = mapped_column(ForeignKey(Tenant.id), unique=True)
    """Under which what was set aside is kept. Its secrets are still wrapped for the tenant that had it."""
    schema_name: Mapped[str]
    """How the schema that is set aside is called when it is in its place: so, no name ever means two states."""
    role_name: Mapped[str]
    made_at: Mapped[datetime]
    """The moment to which the tenant was put back."""
    set_aside_at: Mapped[datetime]
    is_undone: Mapped[bool] = mapped_column(server_default="false")
    """Whether the tenant has again what it had, and the earlier state is what was set aside."""


class RegistryChange(Identified, PlatformModel):
    """One thing that every process must hear of: a tenant changed, or (with a subject) a credential was revoked."""

    __tablename__ = "registry_changes"
    __table_args__ = (Index(None, "xact"), {"info": {"rights": "append_only", "travels": False}})

    tenant_id: Mapped[UUID]
    """Or the id of a plan, for all of its tenants."""
    subject: Mapped[UUID | None]
    xact: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class TenantRevision(PlatformModel, Identified):
    """A revision of the tenant history as the fleet knows it: who may serve it, and how its schemas look."""

    __tablename__ = "tenant_revisions"
    __table_args__ = ({"info": {"rights": "read_only", "travels": False}},)

    revision: Mapped[str] = mapped_column(unique=True)
    served_by: Mapped[str]
    fingerprint: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class FleetLease(PlatformModel, Identified):
    """Who may change the fleet now. Its `run_id` is the fencing token: each transaction of a run demands it."""

    __tablename__ = "fleet_leases"
    __table_args__ = ({"info": {"rights": "read_only", "travels": False}},)

    name: Mapped[str] = mapped_column(unique=True)
    run_id: Mapped[UUID]
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(BigInteger)
    backend_pid: Mapped[int] = mapped_column(BigInteger)
    backend_started_at: Mapped[datetime]
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class LedgerRun(PlatformModel, Identified):
    """One run over the fleet. Without an outcome it is under way."""

    __tablename__ = "fleet_runs"
    __table_args__ = (
        CheckConstraint("kind IN ('upgrade', 'downgrade', 'call')", name="kind"),
        CheckConstraint("outcome IN ('succeeded', 'failed', 'stopped', 'lost')", name="outcome"),
        {"info": {"rights": "read_only", "travels": False}},
    )

    kind: Mapped[str]
    target: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(BigInteger)
    planned: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]


class LedgerResult(PlatformModel, Identified):
    """What a run came to for one tenant. Without an error it succeeded."""

    __tablename__ = "fleet_results"
    __table_args__ = (UniqueConstraint("run_id", "tenant_id"), {"info": {"rights": "append_only", "travels": False}})

    run_id: Mapped[UUID] = mapped_column(ForeignKey(LedgerRun.id))
    tenant_id: Mapped[UUID] = mapped_column(index=True)
    start: Mapped[str]
    target: Mapped[str]
    error: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[datetime]


async def announce_tenant(session: AsyncSession, tenant_id: UUID) -> None:
    """Let every process read this tenant again, once the transaction of `session` has committed."""
    await announce_change(session, tenant_id=tenant_id, subject=None)


async def announce_plan(session: AsyncSession, plan_id: UUID) -> None:
    """Let every process read the tenants of a plan again, by one line however many they are."""
    await announce_change(session, tenant_id=plan_id, subject=None)


async def announce_change(session: AsyncSession, *, tenant_id: UUID, subject: UUID | None) -> None:
    """Write a line of the change log and wake those who read it; both take effect with the commit."""
    change = {"id": new_id(), "tenant_id": tenant_id, "subject": subject, "xact": _CURRENT_XACT}
    await session.execute(insert(RegistryChange).values(change))
    await session.execute(select(func.pg_notify(CHANNEL, "")))


def announcement_sql(tenant_id: UUID) -> str:
    """Return the same as statements without parameters, for the owner's transactions, which are sent as one text."""
    ids = f"{literal(str(new_id()))}, {literal(str(tenant_id))}"
    return (
        "INSERT INTO platform.registry_changes (id, tenant_id, xact) "
        f"VALUES ({ids}, pg_current_xact_id()::text::bigint); SELECT pg_notify({literal(CHANNEL)}, '')"
    )


TERMS_SQL = """t.plan, p.limits || t.limits AS limits, p.features || t.features AS features,
       p.rate_limits || t.rate_limits AS rates,
       concat_ws('/', p.name, p.terms_version, t.terms_version) AS terms"""
"""The columns of what a tenant `t` of the plan `p` may have: its own terms over those of its plan."""


def tenant_ref_of(row: asyncpg.Record) -> TenantRef:
    """Return the tenant of a row that has the registry's columns, `served_by` and those of `TERMS_SQL`."""
    return TenantRef(
        id=row["id"],
        slug=row["slug"],
        schema=row["schema_name"],
        role=row["role_name"],
        state=TenantState(row["state"]),
        revision=row["revision"],
        served_by=row["served_by"],
        entitlements=entitlements_of(row["plan"], row["limits"], row["features"], row["rates"]),
        terms=row["terms"],
    )


def tenant_ref(row: Tenant) -> TenantRef:
    """Return the tenant of a row of the registry, to name it by: it says nothing of what it may have."""
    return TenantRef(row.id, row.slug, row.schema_name, row.role_name, TenantState(row.state), row.revision)


async def tenant_ref_by_id(session: AsyncSession, tenant_id: UUID) -> TenantRef:
    """Return a tenant straight from the registry, whatever its state."""
    return tenant_ref(await session.get_one(Tenant, tenant_id))


async def tenant_ref_by_slug(session: AsyncSession, slug: str) -> TenantRef:
    """Return an active tenant straight from the registry, for those who have no directory.

    Raises:
        NoActiveTenant: there is none with this slug.
    """
    statement = select(Tenant, Plan).join(Plan, Plan.name == Tenant.plan)
    found = (await session.execute(statement.where(Tenant.slug == slug, Tenant.state == TenantState.ACTIVE))).first()
    if found is None:
        raise NoActiveTenant(slug=slug)
    tenant, plan = found
    terms = f"{plan.name}/{plan.terms_version}/{tenant.terms_version}"
    return replace(tenant_ref(tenant), entitlements=laid_over(plan, tenant), terms=terms)


def laid_over(plan: Plan, tenant: Tenant) -> Entitlements:
    """Return what a tenant may have: its own terms over those of its plan."""
    both = ((plan.limits, tenant.limits), (plan.features, tenant.features), (plan.rate_limits, tenant.rate_limits))
    return entitlements_of(plan.name, *(msgspec.json.encode({**below, **above}).decode() for below, above in both))
