"""A look at the store of backups, for the doctor: it reads what the last runs have written, and no archive."""

from leasehold.config import Settings
from leasehold.platform.backups.opening import backup_passphrase, open_store
from leasehold.platform.backups.refusals import BackupRefused
from leasehold.platform.backups.store import BackupStore
from leasehold.tenancy.doctor.site import SeenBackups

_LAST_RUNS = 100
_REASONS = 3


async def look_at_backups(settings: Settings) -> SeenBackups:
    """Return what can be seen of the backups of an installation."""
    try:
        backup_passphrase(settings)
        return await _seen(open_store(settings))
    except BackupRefused as error:
        return SeenBackups(unusable=str(error))


async def _seen(store: BackupStore) -> SeenBackups:
    failed, reasons, is_last = 0, "", True
    for started_at, has_ended in (await store.runs())[:_LAST_RUNS]:
        record = await store.record(started_at) if has_ended else None
        if record is None or not record.is_whole:
            continue
        if record.has_succeeded:
            return SeenBackups(succeeded_at=record.finished_at, failed=failed, reasons=reasons)
        if is_last:
            failed, is_last = len(record.failed) + record.skipped, False
            reasons = "; ".join(f"{result.name}: {result.reason}" for result in record.failed[:_REASONS])
    return SeenBackups(failed=failed, reasons=reasons)
