"""Jobs that these tests ask for, and workers that claim only what a test lets them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from msgspec import Struct

from leasehold.core.database import DriverConnection, PlatformSession, platform_session
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession, open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import Job, NoArguments, job_of_either, platform_job, tenant_job
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.jobs.models import PLATFORM_LANE
from leasehold.tenancy.jobs.queue import ClaimedJob, JobQueue

_ENQUEUE_MANY = """
SELECT count(platform.enqueue_job($1, gen_random_uuid(), $2, '{}', 0, 10, 0, NULL)) FROM generate_series(1, $3)
"""


class Note(Struct, frozen=True):
    text: str = ""


@tenant_job("tests.note", priority=3, max_attempts=2)
async def note(_arguments: Note, session: TenantSession) -> None: ...


@platform_job("tests.report")
async def report(_arguments: NoArguments, session: PlatformSession) -> None: ...


@job_of_either("tests.tell")
async def tell(_arguments: Note) -> None: ...


@tenant_job("tests.count")
async def count(_arguments: NoArguments, session: TenantSession) -> None: ...


@dataclass(frozen=True, slots=True)
class Hand:
    """A worker that is known to the queue, and does nothing by itself."""

    id: UUID
    queue: JobQueue
    connection: DriverConnection

    async def claim(self, *, wanted: int = 10, most_of_one: int = 10, behind: UUID = PLATFORM_LANE) -> list[ClaimedJob]:
        """Claim jobs, by default for ten places of which one lane may have all."""
        return await self.queue.claim(behind=behind, wanted=wanted, most_of_one=most_of_one)

    async def claim_one(self) -> ClaimedJob:
        """Claim a job, which must be there."""
        (claimed,) = await self.claim(wanted=1)
        return claimed

    async def die(self) -> None:
        """Be seen no more, for so long that one is taken for dead."""
        await self.connection.execute(
            "UPDATE platform.job_workers SET seen_at = now() - interval '31 seconds' WHERE id = $1", self.id
        )


async def asked(process: Process, tenant: TenantRef, job: Job[Any] = note, text: str = "", **options: Any) -> bool:
    """Ask for a job of a tenant in a transaction of its own."""
    async with open_tenant_session(process.database, tenant) as session:
        return await enqueue(session, job, Note(text) if job.arguments is Note else NoArguments(), **options)


async def asked_by_the_platform(process: Process, job: Job[Any] = report, **options: Any) -> bool:
    """Ask for a job of the platform in a transaction of its own."""
    async with platform_session(process.database) as session:
        return await enqueue(session, job, Note() if job.arguments is Note else NoArguments(), **options)


async def many_asked(connection: DriverConnection, tenant: TenantRef | None, number: int) -> None:
    """Ask for many jobs at once, of a tenant or of the platform."""
    name = note.name if tenant else report.name
    await connection.execute(_ENQUEUE_MANY, tenant.id if tenant else None, name, number)


async def states(connection: DriverConnection) -> list[tuple[str, str]]:
    """Return name and state of every job there is."""
    rows = await connection.fetch("SELECT name, state FROM platform.jobs ORDER BY created_at, id")
    return [(row["name"], row["state"]) for row in rows]


async def row_of(connection: DriverConnection, job_id: UUID | None = None) -> Any:
    """Return what is written of a job; without an id, of the only one."""
    (row,) = await connection.fetch("SELECT * FROM platform.jobs WHERE $1::uuid IS NULL OR id = $1", job_id)
    return row
