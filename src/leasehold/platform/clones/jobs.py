"""The worker's part: it makes the copies that were asked for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from msgspec import Struct

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import DatabaseUnavailable, Problem, Unavailable
from leasehold.platform.clones.models import TenantClone
from leasehold.platform.clones.repository import CloneRepository
from leasehold.tenancy.clone import Cloner
from leasehold.tenancy.jobs.definition import SPARE_ATTEMPTS, GivenUp, platform_job
from leasehold.tenancy.jobs.queue import ClaimedJob

_ATTEMPTS = 5
_GIVEN_UP = "It failed {attempts} times; the job says why."
OpenSession = Callable[[], AbstractAsyncContextManager[PlatformSession]]


class AskedClone(Struct, frozen=True):
    """The copy that is to be made."""

    clone_id: UUID


@platform_job("clones.make", timeout_s=6 * 3600.0, max_attempts=_ATTEMPTS + SPARE_ATTEMPTS)
async def make_clone(arguments: AskedClone, open_session: OpenSession, cloner: Cloner, job: ClaimedJob) -> None:
    """Make a copy once, however often this is called; what cannot be made now, for a reason, is not tried again.

    Raises:
        GivenUp: it was tried too often.
    """
    async with open_session() as session:
        clones = CloneRepository(session=session)
        clone = await clones.get_one_or_none(id=arguments.clone_id)
        if clone is None or clone.ended_at is not None:
            return
        is_made = await clones.is_made(clone.tenant_id)
    try:
        if not is_made and job.attempt > _ATTEMPTS:
            raise GivenUp(attempts=_ATTEMPTS, reason="the last time it was cut off")
        if not is_made:
            await cloner.clone(
                clone.source_id,
                tenant_id=clone.tenant_id,
                slug=clone.slug,
                name=clone.name,
                is_scrubbed=clone.is_scrubbed,
                by=Actor.system("clones.make"),
            )
    except DatabaseUnavailable:
        raise  # which does not count as an attempt
    except Exception as error:
        is_final = isinstance(error, Problem) and not isinstance(error, Unavailable)
        if not is_final and job.attempt < _ATTEMPTS:
            raise
        await _give_up(open_session, clone, error, is_final=is_final)
    else:
        async with open_session() as session:
            await CloneRepository(session=session).end(clone.id)


async def _give_up(open_session: OpenSession, clone: TenantClone, error: Exception, *, is_final: bool) -> None:
    """Write down why a copy was not made, unless it was: another worker, taken for dead, may have been faster.

    Raises:
        GivenUp: it was not, and the words for it stand with the job.
    """
    async with open_session() as session:
        clones = CloneRepository(session=session)
        if await clones.is_made(clone.tenant_id):
            await clones.end(clone.id)
            return
        told = error.detail if isinstance(error, Problem) else _GIVEN_UP.format(attempts=_ATTEMPTS)
        await clones.end(clone.id, error=told)
    if isinstance(error, GivenUp):
        raise error
    if not is_final:
        raise GivenUp(attempts=_ATTEMPTS, reason=f"{type(error).__name__}: {error}") from error
