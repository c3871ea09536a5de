"""What an admin does with copies of tenants."""

from uuid import UUID

from msgspec import UNSET

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.database import PlatformSession
from leasehold.core.errors import NotFound
from leasehold.core.ids import new_id
from leasehold.platform.clones.jobs import AskedClone, make_clone
from leasehold.platform.clones.models import TenantClone
from leasehold.platform.clones.repository import CloneRepository
from leasehold.platform.clones.schemas import Clone, CloneCreate
from leasehold.platform.tenants.repository import TenantRepository
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.names import check_slug
from leasehold.tenancy.provision import SlugTaken
from leasehold.tenancy.states import LIVING, demand_state


class CloneService:
    """The copies of tenants, for one unit of work."""

    def __init__(self, session: PlatformSession) -> None:
        self._session = session
        self._clones = CloneRepository(session=session)
        self._tenants = TenantRepository(session=session)

    async def request(self, source_id: UUID, data: CloneCreate, *, by: Actor) -> Clone:
        """Have a worker make a copy of a tenant, under an id that is known from now on.

        Raises:
            NotFound: there is no such tenant.
            WrongTenantState: it is not active, suspended or in maintenance.
            InvalidSlug: the slug cannot be one.
            SlugTaken: another tenant has it now; one that takes it until the worker comes makes the copy fail.
        """
        source = await self._tenants.locked(source_id)
        demand_state(source, *LIVING)
        if await self._tenants.get_one_or_none(slug=check_slug(data.slug)) is not None:
            raise SlugTaken
        name = data.slug if data.name is UNSET else data.name
        clone = TenantClone(source_id=source_id, tenant_id=new_id(), slug=data.slug, name=name)
        clone.is_scrubbed = data.is_scrubbed
        clone = await self._clones.add(clone)
        await enqueue(self._session, make_clone, AskedClone(clone.id), dedupe_key=str(clone.id))
        changes = created(clone_id=str(clone.id), tenant_id=str(clone.tenant_id), is_scrubbed=data.is_scrubbed)
        await AuditLog(self._session, by).record_to(source_id, "tenant.clone_requested", changes=changes)
        return _shown(clone)

    async def find(self, source_id: UUID, clone_id: UUID) -> Clone:
        """Return a copy of a tenant, made or not.

        Raises:
            NotFound: there is none with this id.
        """
        clone = await self._clones.get_one_or_none(id=clone_id, source_id=source_id)
        if clone is None:
            raise NotFound
        return _shown(clone)


def _shown(clone: TenantClone) -> Clone:
    return Clone(
        id=clone.id,
        source_id=clone.source_id,
        tenant_id=clone.tenant_id,
        slug=clone.slug,
        name=clone.name,
        is_scrubbed=clone.is_scrubbed,
        state="waiting" if clone.ended_at is None else "failed" if clone.error else "done",
        error=clone.error,
        created_at=clone.created_at,
        ended_at=clone.ended_at,
    )
