"""How long backups are kept: all of them for some days, then the last of each day, of each week and of each month."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime, timedelta

from leasehold.platform.backups.schemas import Backup

_PERIODS: Mapping[str, Callable[[datetime], Hashable]] = {
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
}


def kept(backups: Sequence[Backup], keep: Mapping[str, timedelta], *, now: datetime) -> list[Backup]:
    """Return those of the backups of one tenant that are kept, the newest first.

    The newest one always is, however old. What a kept marker points at is no matter of this, but of `to_delete`.
    """
    usable = sorted((backup for backup in backups if backup.bytes), key=lambda backup: backup.at, reverse=True)
    recent = [backup for backup in usable if backup is usable[0] or now - backup.at < keep.get("all", _NONE)]
    chosen = {backup.path for backup in recent}
    for name, period in _PERIODS.items():
        last: dict[Hashable, Backup] = {}
        for backup in usable:
            last.setdefault(period(backup.at), backup)
        chosen |= {backup.path for backup in last.values() if now - backup.at < keep.get(name, _NONE)}
    return [backup for backup in usable if backup.path in chosen]


_NONE = timedelta(0)


def to_delete(backups: Sequence[Backup], kept: Sequence[Backup]) -> list[str]:
    """Return the objects that nothing needs which is kept, markers before the archives that they point at.

    So whoever is killed in between leaves no marker without its archive. A marker whose archive is gone goes as well.
    """
    needed = {path for backup in kept for path in (backup.path, backup.archive)}
    gone = [backup for backup in backups if backup.path not in needed]
    return [backup.path for backup in sorted(gone, key=lambda backup: (not backup.is_marker, backup.at))]
