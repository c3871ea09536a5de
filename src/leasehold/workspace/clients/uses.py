"""When clients were last used, gathered in the process, so that a busy client costs one write a minute."""

from collections import defaultdict
from datetime import datetime
from uuid import UUID

from leasehold.core.clock import utc_now
from leasehold.core.database import Database, platform_session
from leasehold.tenancy.jobs.enqueue import enqueue_for
from leasehold.workspace.clients.jobs import ClientUse, note_use

FLUSH_S = 60.0
"""Seconds between two flushes; a process that is killed loses what it noted since the last one."""


class ClientUses:
    """Notes uses, and hands them to a job of each tenant."""

    def __init__(self) -> None:
        self._uses: defaultdict[UUID, dict[UUID, datetime]] = defaultdict(dict)

    def note(self, tenant_id: UUID, client_id: UUID) -> None:
        """Note that a client of a tenant was used now."""
        self._uses[tenant_id][client_id] = utc_now()

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
                    await enqueue_for(session, tenant_id, note_use, ClientUse(last_used_at))
        except BaseException:
            for tenant_id, last_used_at in uses.items():
                self._uses[tenant_id] = last_used_at | self._uses[tenant_id]
            raise
