"""What an admin does with the state of a tenant. Every change is announced to all processes in its own transaction."""

from datetime import timedelta
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.changes import Changes
from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.core.errors import FieldError, Invalid
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.platform.lifecycle.jobs import PurgedTenant, purge_tenant
from leasehold.platform.lifecycle.schemas import MaintenanceBegin
from leasehold.platform.tenants import schemas
from leasehold.platform.tenants.repository import TenantRepository
from leasehold.tenancy import registry
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.registry import announce_tenant
from leasehold.tenancy.states import LIVING, demand_state, move


class NotItsSlug(Invalid):
    """This is not the slug of the tenant that was to be purged; nothing was done."""

    type = "not-its-slug"
    title = "Not its slug"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/slug", "is another one")])


class LifecycleService:
    """The states of tenants, for one unit of work. A precondition of a change is held against the locked row."""

    def __init__(self, session: PlatformSession, *, grace: timedelta) -> None:
        """Take for how long a deleted tenant can be restored."""
        self._session = session
        self._tenants = TenantRepository(session=session)
        self._grace = grace

    async def suspend(self, tenant_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor) -> schemas.Tenant:
        """Refuse all requests of a tenant, in every process within a second. One that is suspended stays so.

        Raises:
            WrongTenantState: the tenant is neither active nor suspended.
        """
        row = await self._tenants.locked(tenant_id, precondition)
        demand_state(row, TenantState.ACTIVE, TenantState.SUSPENDED)
        return await self._move(row, TenantState.SUSPENDED, "tenant.suspended", by)

    async def resume(self, tenant_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor) -> schemas.Tenant:
        """Serve a suspended tenant again. One that is active stays so.

        Raises:
            WrongTenantState: the tenant is neither suspended nor active.
        """
        row = await self._tenants.locked(tenant_id, precondition)
        demand_state(row, TenantState.SUSPENDED, TenantState.ACTIVE)
        return await self._move(row, TenantState.ACTIVE, "tenant.resumed", by)

    async def maintain(
        self, tenant_id: UUID, how: MaintenanceBegin, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.Tenant:
        """Answer 503 in place of a tenant, or let it only be read; for one in maintenance, change how.

        Raises:
            WrongTenantState: the tenant is neither active nor in maintenance.
        """
        row = await self._tenants.locked(tenant_id, precondition)
        demand_state(row, TenantState.ACTIVE, TenantState.MAINTENANCE)
        before = {"is_read_only": row.is_read_only, "ends_at": row.maintenance_ends_at}
        row.is_read_only, row.maintenance_ends_at = how.is_read_only, how.ends_at
        after = {"is_read_only": how.is_read_only, "ends_at": how.ends_at}
        changed = {name: {"from": before[name], "to": after[name]} for name in after if before[name] != after[name]}
        return await self._move(row, TenantState.MAINTENANCE, "tenant.maintenance_began", by, changed)

    async def end_maintenance(
        self, tenant_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.Tenant:
        """Serve a tenant again that was in maintenance. One that is active stays so.

        Raises:
            WrongTenantState: the tenant is neither in maintenance nor active.
        """
        row = await self._tenants.locked(tenant_id, precondition)
        demand_state(row, TenantState.MAINTENANCE, TenantState.ACTIVE)
        row.is_read_only, row.maintenance_ends_at = False, None
        return await self._move(row, TenantState.ACTIVE, "tenant.maintenance_ended", by)

    async def delete(self, tenant_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor) -> schemas.Tenant:
        """Serve a tenant no more. All that it has is kept until the grace is over, its slug and domains too.

        Raises:
            WrongTenantState: the tenant is already deleted.
        """
        row = await self._tenants.locked(tenant_id, precondition)
        demand_state(row, *LIVING)
        now = utc_now()
        row.deleted_from, row.deleted_at, row.purge_at = row.state, now, now + self._grace
        changes = {"purge_at": {"from": None, "to": row.purge_at}}
        return await self._move(row, TenantState.DELETED, "tenant.deleted", by, changes)

    async def restore(self, tenant_id: UUID, *, precondition: Precondition = ANYTHING, by: Actor) -> schemas.Tenant:
        """Undo the deletion of a tenant: it is as it was, tokens and state included.

        Raises:
            WrongTenantState: the tenant is not deleted, or is being purged.
        """
        row = await self._tenants.locked(tenant_id, precondition)
        demand_state(row, TenantState.DELETED)
        state = TenantState(row.deleted_from or TenantState.ACTIVE)
        row.deleted_from = row.deleted_at = row.purge_at = None
        return await self._move(row, state, "tenant.restored", by)

    async def purge(
        self, tenant_id: UUID, *, slug: str, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.Tenant:
        """Ask for all that a deleted tenant has to be destroyed now, in place of when its grace is over.

        To ask again, for a purge that did not come to its end, is no new act.

        Raises:
            NotItsSlug: the slug is that of another tenant.
            WrongTenantState: the tenant is not deleted, or is purged.
        """
        row = await self._tenants.locked(tenant_id, precondition)
        demand_state(row, TenantState.DELETED, TenantState.PURGING)
        if row.slug != slug:
            raise NotItsSlug
        before, now = row.purge_at, utc_now()
        if before is None or before > now:
            row.purge_at = now
            await self._session.flush()
            changes = {"purge_at": {"from": before, "to": now}}
            await AuditLog(self._session, by).record_to(row.id, "tenant.purge_requested", changes=changes)
        await enqueue(self._session, purge_tenant, PurgedTenant(tenant_id), dedupe_key=str(tenant_id))
        return schemas.described(row)

    async def _move(
        self, row: registry.Tenant, state: TenantState, action: str, by: Actor, changed: Changes | None = None
    ) -> schemas.Tenant:
        before = row.state
        changes = dict(changed or {})
        if move(row, state):
            changes["state"] = {"from": before, "to": state}
        await self._session.flush()
        if changes:
            await AuditLog(self._session, by).record_to(row.id, action, changes=changes)
            await announce_tenant(self._session, row.id)
        return schemas.described(row)
