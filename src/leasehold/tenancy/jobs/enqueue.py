"""Asks for jobs, in the transaction that needs them: they run once it has committed, and never if it has not."""

from uuid import UUID

import msgspec
from sqlalchemy import Text, Uuid, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from leasehold.core.database import PlatformSession
from leasehold.core.ids import new_id
from leasehold.core.trace import current_trace
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.jobs.definition import ArgumentsT, BadJob, Job, NoArguments, Plane, platform_job
from leasehold.tenancy.registry import Tenant

_ENQUEUE = func.platform.enqueue_job
_ENQUEUE_OWN = func.platform.enqueue_own_job


class BadArguments(ValueError):
    """The job {name} cannot be asked for with these arguments: {reason}."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(name=name, reason=reason))


async def enqueue(
    session: TenantSession | PlatformSession,
    job: Job[ArgumentsT],
    arguments: ArgumentsT,
    *,
    delay_s: float = 0.0,
    dedupe_key: str | None = None,
) -> bool:
    """Ask for a job of the session's tenant, or of the platform, and say whether it was taken.

    It is not if one with the same name and `dedupe_key` is waiting or running. `delay_s` is in seconds, and is obeyed
    to about one second. A tenant's role stamps its own tenant on the job, whatever the session believes.

    Raises:
        BadJob: the job is not for this plane.
        BadArguments: the job could not be called with them.
    """
    options = _options(job, arguments, delay_s=delay_s, dedupe_key=dedupe_key)
    if isinstance(session, PlatformSession):
        _demand(job, Plane.PLATFORM)
        question = _ENQUEUE(cast(None, Uuid), new_id(), job.name, *options)
    else:
        _demand(job, Plane.TENANT)
        if session.has_role:
            question = _ENQUEUE_OWN(new_id(), job.name, *options)
        else:
            question = _ENQUEUE(session.tenant.id, new_id(), job.name, *options)
    return bool(await session.scalar(select(question)))


async def enqueue_for(
    session: PlatformSession,
    tenant_id: UUID,
    job: Job[ArgumentsT],
    arguments: ArgumentsT,
    *,
    dedupe_key: str | None = None,
) -> bool:
    """Ask for a job of a tenant on the platform's behalf, and say whether it was taken.

    Raises:
        BadJob: the job is not for tenants.
        BadArguments: the job could not be called with them.
    """
    _demand(job, Plane.TENANT)
    options = _options(job, arguments, delay_s=0.0, dedupe_key=dedupe_key)
    return bool(await session.scalar(select(_ENQUEUE(tenant_id, new_id(), job.name, *options))))


async def enqueue_for_each_tenant(session: PlatformSession, job: Job[NoArguments], *, dedupe_key: str) -> int:
    """Ask for a job of every active tenant, and return how many were taken; those that still wait for one get none.

    Raises:
        BadJob: the job is not for tenants.
    """
    _demand(job, Plane.TENANT)
    tenants: list[UUID] = list(await session.scalars(select(Tenant.id).where(Tenant.state == TenantState.ACTIVE)))
    ids = [new_id() for _ in tenants]
    each = (
        func.unnest(cast(tenants, ARRAY(Uuid)), cast(ids, ARRAY(Uuid))).table_valued("tenant_id", "id").render_derived()
    )
    options = _options(job, NoArguments(), delay_s=0.0, dedupe_key=dedupe_key)
    taken = await session.scalars(select(_ENQUEUE(each.c.tenant_id, each.c.id, job.name, *options)).select_from(each))
    return sum(taken)


def of_each_tenant(job: Job[NoArguments]) -> Job[NoArguments]:
    """Return the job of the platform, for the clock, that asks for a job of every active tenant.

    Raises:
        BadJob: the job is not for tenants.
    """
    _demand(job, Plane.TENANT)

    @platform_job(f"{job.name}_of_each_tenant")
    async def ask(_arguments: NoArguments, session: PlatformSession) -> None:
        await enqueue_for_each_tenant(session, job, dedupe_key="by the clock")

    return ask


def _demand(job: Job[ArgumentsT], plane: Plane) -> None:
    if job.plane not in {plane, Plane.EITHER}:
        raise BadJob(job.name, f"it is not one of the {'platform' if plane is Plane.PLATFORM else 'tenants'}")


def _options(
    job: Job[ArgumentsT], arguments: ArgumentsT, *, delay_s: float, dedupe_key: str | None
) -> tuple[object, ...]:
    trace = current_trace()
    return (
        cast(_encoded(job, arguments), JSONB),
        job.priority,
        job.max_attempts,
        delay_s,
        cast(dedupe_key, Text),
        cast(trace.traceparent() if trace else None, Text),
    )


def _encoded(job: Job[ArgumentsT], arguments: ArgumentsT) -> object:
    """Return arguments as JSON has them.

    They are read once as a worker will: a struct that was made in Python obeys none of its own constraints, and a job
    that nobody can call would be committed with the work, and die hours later where nobody looks.
    """
    try:
        msgspec.json.decode(msgspec.json.encode(arguments), type=job.arguments)
    except (ValueError, TypeError, OverflowError) as error:  # msgspec's own are ValueErrors
        raise BadArguments(job.name, str(error)) from error
    return msgspec.to_builtins(arguments)
