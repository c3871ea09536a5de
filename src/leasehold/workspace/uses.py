"""When credentials were last used, gathered in the process, so that a busy one costs one write a minute."""

from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from leasehold.core.clock import utc_now
from leasehold.core.database import Database, platform_session
from leasehold.core.repository import UsedRepository
from leasehold.tenancy.jobs.definition import Job
from leasehold.tenancy.jobs.enqueue import enqueue_for


class LastUses(Struct, frozen=True):
    """When credentials of one kind were last used, by their ids."""

    last_used_at: dict[UUID, datetime]


class Uses:
    """Notes the uses of one kind of credential, and hands them to a job of each tenant."""

    def __init__(self, job: Job[LastUses]) -> None:
        self._job = job
        self._uses: defaultdict[UUID, dict[UUID, datetime]] = defaultdict(dict)

    def note(self, tenant_id: UUID, credential_id: UUID) -> None:
        """Note that a credential of a tenant was used now."""
        self._uses[tenant_id][credential_id] = utc_now()

    async def flush(self, database: Database) -> None:
        """Hand over what was noted; what cannot be handed over is kept for the next time.

        Raises:
            DatabaseUnavailable: the database does not answer.
        """
        uses, self._uses = self._uses, defaultdict(dict)
        if not uses:
            return
        try:
            async with platform_session(database) as session:
                for tenant_id, last_used_at in uses.items():
                    await enqueue_for(session, tenant_id, self._job, LastUses(last_used_at))
        except BaseException:
            for tenant_id, last_used_at in uses.items():
                self._uses[tenant_id] = last_used_at | self._uses[tenant_id]
            raise


async def write_down(arguments: LastUses, repository: UsedRepository[Any]) -> None:
    """Write down when credentials were last used; an older time changes nothing."""
    for credential_id, used_at in sorted(arguments.last_used_at.items()):
        await repository.note_use(credential_id, used_at)
