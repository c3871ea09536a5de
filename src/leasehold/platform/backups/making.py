"""Makes one backup, in a thread and an event loop of its own: so that compressing one tenant keeps no other waiting."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import structlog

from leasehold.core.clock import utc_now
from leasehold.core.errors import Problem
from leasehold.core.failures import kind_of
from leasehold.core.sqlstate import LOST_CONNECTION
from leasehold.core.vault import UnwrapFailed
from leasehold.platform.backups.names import archive_path, archive_time, marker_path
from leasehold.platform.backups.progress import RunProgress
from leasehold.platform.backups.refusals import StoreRefuses
from leasehold.platform.backups.schemas import Backup, Marker, Result, Target
from leasehold.platform.backups.store import BackupStore
from leasehold.tenancy.archive.exporting import Exporter
from leasehold.tenancy.archive.manifest import Manifest
from leasehold.tenancy.archive.platform_exporting import PlatformExporter
from leasehold.tenancy.archive.progress import Progress
from leasehold.tenancy.archive.refusals import ArchiveRefused
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.archive.writing import Sink

POINTED_AT = timedelta(days=30)
"""An archive that is older is made anew though nothing has changed, lest all that there is hangs on one old object."""
_MOST_IN_A_ROW = 5

_log = structlog.get_logger(__name__)


class Ended(Exception):
    """The run has to end."""


@dataclass(slots=True)
class Stop:
    """Tells all threads of a run to end, when somebody says so, or store or database are out of order."""

    is_set: bool = False
    _in_a_row: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def demand_not_set(self, _bytes: int = 0) -> None:
        """Pass if the run goes on."""
        if self.is_set:
            raise Ended

    def note(self, *, is_out_of_order: bool) -> None:
        """Count in a row when store or database were out of order: they need not be asked a thousand times."""
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if is_out_of_order else 0
            self.is_set = self.is_set or self._in_a_row >= _MOST_IN_A_ROW


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the backups of one run."""

    store: BackupStore
    exporter: Exporter
    platform: PlatformExporter
    key: ArchiveKey
    since: datetime | None
    """When the run began that is gone on with: who has a backup from then on needs none."""
    stop: Stop
    progress: RunProgress

    def make(self, target: Target | None) -> Result:
        """Make a backup of a tenant, or of the platform, and say what came of it; blocking."""
        if self.stop.is_set:
            return Result(target, "skipped")
        is_out_of_order = False
        try:
            result = asyncio.run(self._make(target))
        except Ended:
            return Result(target, "skipped")
        except StoreRefuses as error:
            is_out_of_order, result = True, Result(target, "failed", reason=str(error))
        except (ArchiveRefused, Problem, UnwrapFailed) as error:
            result = Result(target, "failed", reason=_sentence(error))
        except (*LOST_CONNECTION, asyncpg.PostgresError) as error:
            reason = f"the database does not answer, or refuses: {kind_of(error)}"
            is_out_of_order, result = True, Result(target, "failed", reason=reason)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one of them, the others want theirs
            _log.exception("backup_failed", tenant=target and str(target.id))
            result = Result(target, "failed", reason=kind_of(error))
        self.stop.note(is_out_of_order=is_out_of_order)
        self.progress.on_result(result)
        return result

    async def _make(self, target: Target | None) -> Result:
        tenant_id = target.id if target else None
        backups = await self.store.backups(tenant_id)
        if self.since is not None and backups and backups[0].at >= self.since:
            return Result(target, "resumed")
        writing = _Writing(self.store, tenant_id, self.stop)
        progress = Progress(on_bytes=self._on_bytes)
        if target is None:
            await self.platform.export(writing.open_sink, self.key, progress=progress)
        else:
            last = await asyncio.to_thread(self._last, backups)
            at, manifest = await self.exporter.export_changed(
                target.id, writing.open_sink, self.key, since=last and last[1], progress=progress
            )
            if last and manifest is None:
                self._mark(last[0], last[2], at)
                return Result(target, "unchanged")
        return Result(target, "made", writing.bytes)

    def _on_bytes(self, more: int) -> None:
        self.stop.demand_not_set()
        self.progress.on_bytes(more)

    def _last(self, backups: list[Backup]) -> tuple[Backup, Manifest, str] | None:
        """Return the newest backup with its manifest and seal, if a new one may say that all is as it was then."""
        newest = backups[0] if backups else None
        if newest is None or not newest.bytes or utc_now() - archive_time(newest) >= POINTED_AT:
            return None
        found = self.store.newest_archive(newest, self.key)
        return (newest, *found) if found else None

    def _mark(self, last: Backup, seal: str, at: datetime) -> None:
        path = marker_path(last.tenant_id, at, same_as=archive_time(last))
        self.store.write(path, Marker(last.archive, seal))


@dataclass(slots=True)
class _Writing:
    """One archive on its way into the store."""

    store: BackupStore
    tenant_id: UUID | None
    stop: Stop
    bytes: int = 0

    @contextmanager
    def open_sink(self, at: datetime) -> Generator[Sink]:
        """Lend what the archive is written to."""
        with self.store.objects.writing(archive_path(self.tenant_id, at)) as sink:
            yield _Counted(sink, self)


class _Counted:
    """Counts what goes into a sink, which can only be written on: so the archive is the same wherever it goes."""

    def __init__(self, sink: Sink, writing: _Writing) -> None:
        self._sink = sink
        self._writing = writing

    def write(self, data: bytes, /) -> int:
        self._writing.stop.demand_not_set()
        self._writing.bytes += len(data)
        return self._sink.write(data)

    def flush(self) -> None:
        self._sink.flush()


def _sentence(error: Exception) -> str:
    return error.detail if isinstance(error, Problem) else str(error)
