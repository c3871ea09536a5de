"""What an admin does with tenants. Every change is announced to all processes in its own transaction."""

from datetime import timedelta
from uuid import UUID

from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from msgspec import UNSET
from sqlalchemy.exc import IntegrityError

from leasehold.core.actor import Actor
from leasehold.core.changes import applied, created
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Conflict, FieldError, NotFound
from leasehold.core.idempotency.key import IdempotencyKey
from leasehold.core.listing.asked import MADE, PLAIN, Asked
from leasehold.core.pagination import Page, Pager
from leasehold.core.preconditions import ANYTHING, Precondition
from leasehold.core.sqlstate import violated_constraint
from leasehold.platform.lifecycle.jobs import fill_vacancies
from leasehold.platform.tenants import schemas
from leasehold.platform.tenants.repository import DOMAINS, TENANTS, TenantDomainRepository, TenantRepository
from leasehold.tenancy import registry
from leasehold.tenancy.audit import AuditLog, by_action
from leasehold.tenancy.bind import driver_under
from leasehold.tenancy.jobs.definition import NoArguments
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.names import check_hostname, check_slug
from leasehold.tenancy.provision import Provisioner, SlugTaken
from leasehold.tenancy.receipts import tenant_on_receipt
from leasehold.tenancy.registry import announce_tenant
from leasehold.tenancy.slugs import SLUG_TAKEN, keep_former, take_slug
from leasehold.tenancy.states import LIVING, NOBODY, demand_state

_ACTIONS = {
    "slug": "tenant.renamed",
    "name": "tenant.renamed",
    "is_canary": ("tenant.canary_unflagged", "tenant.canary_flagged"),
}


class UnknownSlug(NotFound):
    """There is no tenant {slug}."""


class HostnameTaken(Conflict):
    """The hostname already belongs to a tenant."""

    type = "hostname-taken"
    title = "Hostname taken"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/hostname", "is taken")])


class TenantService(SQLAlchemyAsyncRepositoryService[registry.Tenant, TenantRepository]):
    """The tenants of the platform, for one unit of work."""

    repository_type = TenantRepository

    def __init__(
        self,
        session: PlatformSession,
        provisioner: Provisioner,
        *,
        base_domain: str,
        vacancies: int,
        former_slug_seconds: int = 0,
    ) -> None:
        """Take how many vacancies there shall be, and for how long a slug that a tenant gives up is nobody else's."""
        super().__init__(session=session)
        self._vacancies = vacancies
        self._session = session
        self._provisioner = provisioner
        self._base_domain = base_domain
        self._former_slugs_kept = timedelta(seconds=former_slug_seconds)

    async def page(self, pager: Pager, asked: Asked = PLAIN) -> Page[schemas.Tenant]:
        """Return one page of tenants in the order they were made, or another, whatever their state.

        Raises:
            InvalidCursor: the cursor was issued for another list, order or filter.
        """
        return await TENANTS.page_in(self._session, pager, asked)

    async def find(self, tenant_id: UUID) -> schemas.Tenant:
        """Return a tenant.

        Raises:
            NotFound: there is none with this id.
        """
        row = await self.repository.get_one_or_none(id=tenant_id)
        if row is None or row.state in NOBODY:
            raise NotFound
        return schemas.described(row)

    async def find_by_slug(self, slug: str) -> schemas.Tenant:
        """Return the tenant with this slug.

        Raises:
            UnknownSlug: there is none.
        """
        row = await self.repository.get_one_or_none(slug=slug)
        if row is None or row.state in NOBODY:
            raise UnknownSlug(slug=slug)
        return schemas.described(row)

    async def provision(self, *, slug: str, name: str, by: Actor, key: IdempotencyKey | None = None) -> schemas.Tenant:
        """Make a tenant, ready to be used, and return it; or the one that was made for the same request before.

        Raises:
            IdempotencyKeyReused: a tenant was made for another request with this key.
            InvalidSlug, SlugTaken, IdempotencyKeyInUse, NoOwner, FleetNotReady: see `Provisioner.provision`.
        """
        made = await tenant_on_receipt(self._session, key) if key else None
        if made is None and (claimed := await self._claim(slug, name, by, key)):
            return claimed
        made = made or (await self._provisioner.provision(slug=slug, name=name, by=by, key=key)).id
        return await self.find(made)

    async def _claim(self, slug: str, name: str, by: Actor, key: IdempotencyKey | None) -> schemas.Tenant | None:
        """Make a vacancy the tenant; where few are left, others are asked for, all that are missing at once."""
        # What a key stands for is looked up and kept in the transaction of the request, so the claim is a part of that.
        under_way = await self._session.run_sync(driver_under) if key else None
        claimed = await self._provisioner.claim(slug=slug, name=name, by=by, under_way=under_way)
        if (claimed.vacancies_left if claimed else 0) * 2 < self._vacancies:
            await enqueue(self._session, fill_vacancies, NoArguments(), dedupe_key="few are left")
        return schemas.described(claimed.tenant) if claimed else None

    async def change(
        self, tenant_id: UUID, patch: schemas.TenantPatch, *, precondition: Precondition = ANYTHING, by: Actor
    ) -> schemas.Tenant:
        """Rename a tenant; its data stays where it is, and its former slug is nobody else's for a while.

        Raises:
            InvalidSlug: the new slug cannot be one.
            SlugTaken: another tenant has it, or had it until lately.
            PreconditionFailed, InvalidIfMatch: see `Precondition.demand`.
            WrongTenantState: the tenant is deleted.
            InsufficientScope: who is migrated first is a matter of the fleet, and whoever asks may not write that.
        """
        if patch.slug is not UNSET:
            check_slug(patch.slug)
        if patch.is_canary is not UNSET:
            by.demand("platform:fleet:write")
        row = await self.repository.locked(tenant_id, precondition)
        demand_state(row, *LIVING)
        former = row.slug
        changes = applied(row, patch, unkept={"name"})
        try:
            await self._session.flush()
            if row.slug != former:
                await take_slug(self._session, tenant_id, row.slug)
                await keep_former(self._session, tenant_id, former, kept=self._former_slugs_kept)
        except IntegrityError as error:
            raise _refused(error) from error
        for action, told in by_action(changes, _ACTIONS).items():
            await AuditLog(self._session, by).record_to(tenant_id, action, changes=told)
        if changes:
            await announce_tenant(self._session, tenant_id)
        return schemas.described(row)

    async def domains(self, tenant_id: UUID, pager: Pager) -> Page[schemas.Domain]:
        """Return one page of a tenant's custom domains, in the order they were added, whatever its state.

        Raises:
            NotFound: there is no such tenant.
            InvalidCursor: the cursor was issued for another list.
        """
        await self.find(tenant_id)
        of_tenant = Asked(MADE, is_descending=False, values={"tenant_id": tenant_id})
        return await DOMAINS.page_in(self._session, pager, of_tenant)

    async def add_domain(self, tenant_id: UUID, hostname: str, *, by: Actor) -> schemas.Domain:
        """Let a tenant answer on a domain of its own.

        Raises:
            InvalidHostname: not a full domain name, or one under the installation's own.
            HostnameTaken: it belongs to a tenant already.
            WrongTenantState: the tenant is deleted.
        """
        check_hostname(hostname, base_domain=self._base_domain)
        tenant = await self.repository.locked(tenant_id)
        demand_state(tenant, *LIVING)
        domains = TenantDomainRepository(session=self._session)
        try:
            row = await domains.add(registry.TenantDomain(tenant_id=tenant_id, hostname=hostname))
        except IntegrityError as error:
            if violated_constraint(error) == "uq_tenant_domains_hostname":
                raise HostnameTaken from error
            raise
        changes = created(hostname=hostname)
        await AuditLog(self._session, by).record_to(tenant_id, "tenant.domain_added", changes=changes)
        await announce_tenant(self._session, tenant_id)
        return schemas.Domain(row.id, row.hostname, row.created_at)

    async def remove_domain(self, tenant_id: UUID, hostname: str, *, by: Actor) -> None:
        """Take a custom domain from a tenant.

        Raises:
            NotFound, advanced_alchemy.exceptions.NotFoundError: there is no such tenant, or it has no such domain.
        """
        await self.repository.locked(tenant_id)
        domains = TenantDomainRepository(session=self._session)
        row = await domains.get_one(tenant_id=tenant_id, hostname=hostname, with_for_update=True)
        await domains.delete(row.id)
        changes = {"hostname": {"from": hostname, "to": None}}
        await AuditLog(self._session, by).record_to(tenant_id, "tenant.domain_removed", changes=changes)
        await announce_tenant(self._session, tenant_id)


def _refused(error: IntegrityError) -> Exception:
    return SlugTaken() if violated_constraint(error) in SLUG_TAKEN else error
