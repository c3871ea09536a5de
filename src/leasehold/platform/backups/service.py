"""Runs of backups, and what is kept of them. A run lasts, so each step of it is a unit of work of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.clock import utc_now
from leasehold.core.database import PlatformSession
from leasehold.platform.backups.making import Maker, Stop
from leasehold.platform.backups.names import backups_in, begun_path, record_path, unfinished_in
from leasehold.platform.backups.progress import UNSEEN, RunProgress
from leasehold.platform.backups.refusals import BackupRunning, StoreRefuses, UnknownTenants
from leasehold.platform.backups.repository import BackupTargets
from leasehold.platform.backups.retention import kept, to_delete
from leasehold.platform.backups.schemas import Pruned, Result, RunBegun, RunRecord, Target
from leasehold.platform.backups.store import BackupStore
from leasehold.tenancy.alone import alone
from leasehold.tenancy.archive.exporting import Exporter
from leasehold.tenancy.archive.platform_exporting import PlatformExporter
from leasehold.tenancy.archive.refusals import WrongPassphrase
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.audit import AuditLog

GOES_ON = timedelta(hours=12)
"""A run that was cut off is gone on with for so long; after that there is a new one."""
_WHAT = "leasehold backup"
# No other run is under way, but for one that has lost the connection by which that is known.
_WRITTEN_BY_THEN = timedelta(days=1)

OpenSession = Callable[[], AbstractAsyncContextManager[PlatformSession]]


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how long backups are kept."""

    keep: Mapping[str, timedelta]
    """`all` of them, and the last one of each period (`daily`, `weekly`, `monthly`)."""
    purged: timedelta
    """Those of a tenant that was purged, from then on."""


@dataclass(frozen=True, slots=True)
class BackupService:
    """Backups of one installation in one store."""

    open_session: OpenSession
    store: BackupStore
    exporter: Exporter
    platform: PlatformExporter
    keeping: Keeping

    async def run(
        self,
        passphrase: str,
        *,
        slugs: Sequence[str] = (),
        jobs: int = 1,
        by: Actor,
        progress: RunProgress = UNSEEN,
    ) -> RunRecord:
        """Make backups of the platform and of all tenants, or of those with these slugs alone; return what came of it.

        Of many, `jobs` at once, each on a connection of its own. A run of all that was cut off less than half a day ago
        is gone on with. One tenant that cannot be had does not keep the others from theirs. At the end of a run of all
        old backups are deleted, unless it had to end early.

        Raises:
            BackupRunning: somebody else makes or deletes backups of this installation.
            UnknownTenants: there are none with some of the slugs.
            WeakPassphrase: it is too short.
            StoreRefuses: the store does not answer, or refuses.
            OSError, asyncpg.PostgresError: the database does not answer, or refuses.
        """
        async with alone(self.exporter.url, _WHAT) as is_alone:
            if not is_alone:
                raise BackupRunning
            targets = await self._targets(slugs)
            begun, key, since = await self._begin(passphrase, is_whole=not slugs)
            progress.on_start(len(targets), since)
            maker = Maker(self.store, self.exporter, self.platform, key, since, Stop(), progress)
            results = await _all(maker, targets, jobs=jobs)
            has_ended_early = any(result.outcome == "skipped" for result in results)
            deleted = (0, None) if slugs or has_ended_early else await self._delete_old()
            record = _summed(begun, results, deleted)
            action = "backup.made" if record.has_succeeded else "backup.incomplete"
            await self._record(action, by, created(**_told(record)))
            self.store.write(record_path(begun.started_at), record)
            return record

    async def prune(self, *, all_of_purged: bool = False, dry_run: bool = False, by: Actor) -> Pruned:
        """Delete the backups that are not to be kept any longer, and return what that came to.

        `all_of_purged` deletes those of purged tenants at once.

        Raises:
            BackupRunning: somebody else makes or deletes backups of this installation.
            StoreRefuses: the store does not answer, or refuses.
            OSError, asyncpg.PostgresError: the database does not answer, or refuses.
        """
        async with alone(self.exporter.url, _WHAT) as is_alone:
            if not is_alone:
                raise BackupRunning
            pruned = await self._prune(all_of_purged=all_of_purged, dry_run=dry_run)
            if pruned.deleted and not dry_run:
                await self._record("backup.pruned", by, created(kept=pruned.kept, deleted=len(pruned.deleted)))
            return pruned

    async def slugs(self) -> dict[UUID, str]:
        """Return the slugs of all tenants that there are, by their ids."""
        async with self.open_session() as session:
            return await BackupTargets(session).slugs()

    async def _targets(self, slugs: Sequence[str]) -> list[Target | None]:
        async with self.open_session() as session:
            targets = BackupTargets(session)
            if not slugs:
                return [None, *await targets.all()]
            found = await targets.named(set(slugs))
        if missing := sorted(set(slugs) - {target.slug for target in found}):
            raise UnknownTenants(slugs=", ".join(missing))
        return list(found)

    async def _begin(self, passphrase: str, *, is_whole: bool) -> tuple[RunBegun, ArchiveKey, datetime | None]:
        """Return a run with its key, and when it began if it is another one's that is gone on with."""
        now, key = utc_now(), None
        runs = await self.store.runs()
        last = await self.store.begun(runs[0][0]) if runs else None
        if last is not None:
            with suppress(WrongPassphrase):  # there is a new one, and all archives are made anew
                key = await asyncio.to_thread(ArchiveKey.of, passphrase, last.key)
        if is_whole and last is not None and key is not None:
            has_ended = runs[0][1]
            if last.is_whole and not has_ended and now - last.started_at < GOES_ON:
                return last, key, last.started_at
        key = key or await asyncio.to_thread(ArchiveKey.new, passphrase)
        begun = RunBegun(now, version("leasehold"), is_whole, key.derivation)
        self.store.write(begun_path(now), begun)
        return begun, key, None

    async def _prune(self, *, all_of_purged: bool, dry_run: bool) -> Pruned:
        now, kept_in_all, unknown = utc_now(), 0, 0
        async with self.open_session() as session:
            purged = await BackupTargets(session).purged()
        deleted: list[str] = []
        for tenant_id in (None, *await self.store.tenants()):
            if tenant_id is not None and tenant_id not in purged:
                unknown += 1  # another installation's, or one whose platform was put back to before it was made
                continue
            at = purged[tenant_id] if tenant_id else None
            found = await self.store.found(tenant_id)
            backups = backups_in(tenant_id, found)
            is_due = at is not None and (all_of_purged or now - at >= self.keeping.purged)
            is_over = is_due and tenant_id is not None and await self._is_purged_still(tenant_id)
            left = [] if is_over else kept(backups, self.keeping.keep, now=now)
            gone = to_delete(backups, left)
            kept_in_all += len(backups) - len(gone)
            gone += unfinished_in([path for path, _ in found], before=now if is_over else now - _WRITTEN_BY_THEN)
            deleted += gone
            if not dry_run:
                await self.store.objects.delete(gone)
        if not dry_run:
            await self._forget_runs(now)
        return Pruned(kept_in_all, tuple(deleted), unknown)

    async def _is_purged_still(self, tenant_id: UUID) -> bool:
        """Tell whether a tenant has not come back since all were asked for, of which there may be thousands."""
        async with self.open_session() as session:
            return await BackupTargets(session).is_purged(tenant_id)

    async def _delete_old(self) -> tuple[int, str | None]:
        """Return how many backups were deleted; or why not, where a store lets nobody delete anything."""
        try:
            return len((await self._prune(all_of_purged=False, dry_run=False)).deleted), None
        except StoreRefuses as error:
            return 0, str(error)

    async def _forget_runs(self, now: datetime) -> None:
        """Delete what runs have written that are older than all that is kept; never what the next one needs."""
        await self.store.objects.delete(await self.store.unfinished_runs(before=now - _WRITTEN_BY_THEN))
        longest = max(self.keeping.keep.values())
        for started_at, _ in (await self.store.runs())[1:]:
            if now - started_at >= longest:
                await self.store.objects.delete([record_path(started_at), begun_path(started_at)])

    async def _record(self, action: str, by: Actor, changes: Mapping[str, Mapping[str, object]]) -> None:
        async with self.open_session() as session:
            await AuditLog(session, by).record(action, ("backup", None), changes=changes)


async def _all(maker: Maker, targets: Sequence[Target | None], *, jobs: int) -> list[Result]:
    """Make all backups, a thread for each of those that are made at once."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(jobs, thread_name_prefix="backup") as threads:
        waiting = [loop.run_in_executor(threads, maker.make, target) for target in targets]
        try:
            return await asyncio.gather(*waiting)
        finally:
            maker.stop.is_set = True  # who is told to end waits until each thread has let go of what it does


def _summed(begun: RunBegun, results: Sequence[Result], deleted: tuple[int, str | None]) -> RunRecord:
    def count(outcome: str) -> int:
        return sum(result.outcome == outcome for result in results)

    return RunRecord(
        begun.started_at,
        utc_now(),
        version("leasehold"),
        begun.is_whole,
        made=count("made"),
        unchanged=count("unchanged"),
        resumed=count("resumed"),
        skipped=count("skipped"),
        bytes=sum(result.bytes for result in results),
        failed=tuple(result for result in results if result.outcome == "failed"),
        deleted=deleted[0],
        undeleted=deleted[1],
    )


def _told(record: RunRecord) -> dict[str, object]:
    return {
        "started_at": record.started_at,
        "is_whole": record.is_whole,
        "made": record.made,
        "unchanged": record.unchanged,
        "failed": [str(result.target.id) if result.target else "platform" for result in record.failed],
        "deleted": record.deleted,
    }
