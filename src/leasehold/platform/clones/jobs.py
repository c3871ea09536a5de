"""The worker's part: it makes the copies that were asked for."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import UUID

from msgspec import Struct

from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Problem, Unavailable
from leasehold.platform.clones.repository import CloneRepository
from leasehold.tenancy.clone import Cloner
from leasehold.tenancy.jobs.definition import platform_job
from leasehold.tenancy.jobs.queue import ClaimedJob

_ATTEMPTS = 5
_GIVEN_UP = "It failed {attempts} times; the job says why."
OpenSession = Callable[[], AbstractAsyncContextManager[PlatformSession]]


class AskedClone(Struct, frozen=True):
    """The copy that is to be made."""

    clone_id: UUID


@platform_job("clones.make", timeout_s=6 * 3600.0, max_attempts=_ATTEMPTS)
async def make_clone(arguments: AskedClone, open_session: OpenSession, cloner: Cloner, job: ClaimedJob) -> None:
    """Make a copy once, however often this is called; what cannot be made now, for a reason, is not tried again."""
    async with open_session() as session:
        clones = CloneRepository(session=session)
        clone = await clones.get_one_or_none(id=arguments.clone_id)
        if clone is None or clone.ended_at is not None:
            return
        is_made = await clones.is_made(clone.tenant_id)
    error: str | None = None
    try:
        if not is_made:
            await cloner.clone(
                clone.source_id,
                tenant_id=clone.tenant_id,
                slug=clone.slug,
                name=clone.name,
                is_scrubbed=clone.is_scrubbed,
                by=Actor.system("clones.make"),
            )
    except Exception as reason:
        is_final = isinstance(reason, Problem) and not isinstance(reason, Unavailable)
        if not is_final and job.attempt < _ATTEMPTS:
            raise
        error = reason.detail if isinstance(reason, Problem) else _GIVEN_UP.format(attempts=job.attempt)
    async with open_session() as session:
        await CloneRepository(session=session).end(clone.id, error=error)
