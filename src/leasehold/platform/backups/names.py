"""How the objects of a store are named; the names alone say what there is, so a list of them is all that is needed."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from leasehold.platform.backups.schemas import Backup

TENANTS = "tenants"
PLATFORM = "platform"
RUNS = "runs"
_TIME = "%Y%m%dT%H%M%S.%fZ"
_STAMP = r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z"
_ARCHIVE = re.compile(rf"^({_STAMP})\.zip$")
_BEGUN = re.compile(rf"^({_STAMP})\.begun\.json$")
_UNFINISHED = re.compile(rf"^({_STAMP})\.(zip|json|begun\.json|same-as\.{_STAMP}\.json)\.partial$")
_MARKER = re.compile(rf"^({_STAMP})\.same-as\.({_STAMP})\.json$")


def stamp(at: datetime) -> str:
    """Return a time as names have it."""
    return at.astimezone(UTC).strftime(_TIME)


def time_of(text: str) -> datetime:
    """Return the time that a name has.

    Raises:
        ValueError: it has none.
    """
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def folder(tenant_id: UUID | None) -> str:
    """Return where the backups of a tenant are, or those of the platform."""
    return PLATFORM if tenant_id is None else f"{TENANTS}/{tenant_id}"


def archive_path(tenant_id: UUID | None, at: datetime) -> str:
    """Return the name of an archive."""
    return f"{folder(tenant_id)}/{stamp(at)}.zip"


def marker_path(tenant_id: UUID | None, at: datetime, *, same_as: datetime) -> str:
    """Return the name of a marker that nothing has changed since an archive."""
    return f"{folder(tenant_id)}/{stamp(at)}.same-as.{stamp(same_as)}.json"


def archive_time(backup: Backup) -> datetime:
    """Return of when the archive of a backup is; of a marker's that is earlier than its own time."""
    return time_of(backup.archive.rpartition("/")[2].removesuffix(".zip"))


def begun_path(started_at: datetime) -> str:
    """Return the name of what is written when a run begins."""
    return f"{RUNS}/{stamp(started_at)}.begun.json"


def record_path(started_at: datetime) -> str:
    """Return the name of what is written when a run ends."""
    return f"{RUNS}/{stamp(started_at)}.json"


def runs_in(found: Iterable[str]) -> list[tuple[datetime, bool]]:
    """Return when runs began, the latest first, and whether they have ended."""
    names = {path.rpartition("/")[2] for path in found}
    begun = [match[1] for name in names if (match := _BEGUN.match(name))]
    return [(time_of(text), f"{text}.json" in names) for text in sorted(begun, reverse=True)]


def unfinished_in(found: Iterable[str], *, before: datetime) -> list[str]:
    """Return what was begun before a time and is not whole: who was killed left it in a folder, and nobody goes on."""
    matches = ((path, _UNFINISHED.match(path.rpartition("/")[2])) for path in found)
    return [path for path, match in matches if match and time_of(match[1]) < before]


def backups_in(tenant_id: UUID | None, found: Iterable[tuple[str, int]]) -> list[Backup]:
    """Return the backups among the objects of a folder, with their sizes, the newest first.

    What has another name is none of ours: what is being written, or what somebody has put there.
    """
    sizes = dict(found)
    backups: list[Backup] = []
    for path, size in sizes.items():
        name = path.rpartition("/")[2]
        if whole := _ARCHIVE.match(name):
            backups.append(Backup(tenant_id, time_of(whole[1]), path, path, size))
        elif marker := _MARKER.match(name):
            archive = archive_path(tenant_id, time_of(marker[2]))
            backups.append(Backup(tenant_id, time_of(marker[1]), path, archive, sizes.get(archive, 0)))
    return sorted(backups, key=lambda backup: backup.at, reverse=True)
