"""What can be known of the fleet."""

from uuid import UUID

from leasehold.core.database import PlatformSession
from leasehold.core.errors import NotFound
from leasehold.core.pagination import Page, Pager
from leasehold.platform.fleet import schemas
from leasehold.platform.fleet.repository import LedgerRepository

_STRAGGLERS = 100
_RUNS = b"runs"


class FleetService:
    """The fleet, as the registry and the ledger have it; nothing here looks into a tenant's schema."""

    def __init__(self, session: PlatformSession, *, head: str) -> None:
        self._ledger = LedgerRepository(session)
        self._head = head

    async def status(self) -> schemas.FleetStatus:
        """Return where the schemas of all tenants stand."""
        revisions = [schemas.RevisionCount(**row) for row in await self._ledger.revision_counts()]
        rows = [dict(row) for row in await self._ledger.stragglers(head=self._head, limit=_STRAGGLERS)]
        failed = max((row.pop("failed") for row in rows), default=0)
        running = await self._ledger.running()
        return schemas.FleetStatus(
            head=self._head,
            tenants=sum(count.tenants for count in revisions),
            at_head=sum(count.tenants for count in revisions if count.revision == self._head),
            failed=failed,
            revisions=revisions,
            stragglers=[schemas.Straggler(**row) for row in rows],
            running=schemas.Run(**running) if running else None,
        )

    async def runs(self, pager: Pager) -> Page[schemas.Run]:
        """Return one page of runs, the latest first."""
        rows = await self._ledger.runs(before=pager.after(_RUNS), limit=pager.limit + 1)
        return pager.page([schemas.Run(**row) for row in rows], _RUNS)

    async def run(self, run_id: UUID) -> schemas.Run:
        """Return a run.

        Raises:
            NotFound: there is none with this id.
        """
        row = await self._ledger.run(run_id)
        if row is None:
            raise NotFound
        return schemas.Run(**row)

    async def results(self, run_id: UUID, pager: Pager) -> Page[schemas.RunResult]:
        """Return one page of what a run came to, tenant by tenant.

        Raises:
            NotFound: there is no such run.
        """
        await self.run(run_id)
        scope = _RUNS + run_id.bytes
        rows = await self._ledger.results(run_id, after=pager.after(scope), limit=pager.limit + 1)
        return pager.page([schemas.RunResult(**row) for row in rows], scope)
