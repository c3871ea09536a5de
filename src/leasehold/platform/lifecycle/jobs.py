"""What happens to tenants behind the scenes: vacancies are made ready, and what was deleted is destroyed in the end."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from msgspec import Struct

from leasehold.core.actor import Actor
from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.platform.tenants.repository import TenantRepository
from leasehold.tenancy.jobs.definition import NoArguments, platform_job
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.provision import Provisioner
from leasehold.tenancy.purge import Purger
from leasehold.tenancy.vacancies import count_vacancies

_PURGES_AT_ONCE = 100
OpenSession = Callable[[], AbstractAsyncContextManager[PlatformSession]]


class PurgedTenant(Struct, frozen=True):
    """The tenant that is to be purged."""

    tenant_id: UUID


@platform_job("lifecycle.fill_vacancies", timeout_s=600.0)
async def fill_vacancies(
    _arguments: NoArguments, open_session: OpenSession, provisioner: Provisioner, vacancies: int
) -> None:
    """Make as many vacancies as are missing, one behind the other: each is a role, and roles cost every connection."""
    if not provisioner.may_build:
        return
    async with open_session() as session:
        ready = await count_vacancies(session, revision=provisioner.revision)
    for _ in range(vacancies - ready):
        await provisioner.make_vacancy()


@platform_job("lifecycle.purge_due")
async def purge_due(_arguments: NoArguments, session: PlatformSession) -> None:
    """Ask for the purge of each tenant whose grace is over, and of each whose purge did not come to its end."""
    for tenant_id in await TenantRepository(session=session).to_be_purged(utc_now(), limit=_PURGES_AT_ONCE):
        await enqueue(session, purge_tenant, PurgedTenant(tenant_id), dedupe_key=str(tenant_id))


@platform_job("lifecycle.purge_tenant", timeout_s=3600.0, max_attempts=20)
async def purge_tenant(arguments: PurgedTenant, purger: Purger) -> None:
    """Destroy all that a tenant has, if its grace is over and nobody has restored it meanwhile."""
    await purger.purge(arguments.tenant_id, by=Actor.system("lifecycle.purge_tenant"))
