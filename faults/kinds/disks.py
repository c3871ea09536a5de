"""The disk of PostgreSQL: full, with its data or with its log of changes, and a database that takes no writes."""

import asyncio
import os

from faults.disk import no_disk
from faults.fault import Fault
from faults.installation import DATABASE
from faults.stage import Stage

_MIB = 320
_PART = 64 * 1024


def _fill(stage: Stage, *, leave_bytes: int) -> str:
    """Fill the disk but for so much, and return what fills it."""
    path = stage.cluster.data.parent / "filling"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                free = os.statvfs(path)
                if free.f_bavail * free.f_frsize <= leave_bytes:
                    break
                file.write(b"x" * _PART)
        except OSError:
            pass
    return str(path)


async def _fill_disk(stage: Stage) -> None:
    path = await asyncio.to_thread(_fill, stage, leave_bytes=0)
    # Whatever is still free in files that are there already is used up by writing.
    await asyncio.sleep(stage.lasts(short_s=3, long_s=15))
    await asyncio.to_thread(os.unlink, path)
    if not stage.cluster.processes():
        await asyncio.to_thread(stage.cluster.start)
    await stage.cluster.serves()


async def _fill_by_wal(stage: Stage) -> None:
    """Write until no further segment of the log fits: PostgreSQL then ends itself, and starts when there is room."""
    path = await asyncio.to_thread(_fill, stage, leave_bytes=0)
    connection = await stage.admin()
    try:
        for _ in range(40):
            await connection.execute("SELECT pg_logical_emit_message(false, 'faults', repeat('x', 1000000))")
    except Exception as error:  # noqa: BLE001  # it is what is wanted
        stage.found.append(f"PostgreSQL said: {type(error).__name__}")
    finally:
        connection.terminate()
    await asyncio.sleep(stage.lasts(short_s=1, long_s=10))
    await asyncio.to_thread(os.unlink, path)
    if not stage.cluster.processes():
        await asyncio.to_thread(stage.cluster.start)
    await stage.cluster.serves()


async def _forbid_writing(stage: Stage) -> None:
    """Let all transactions be read-only, as on a standby that has not been promoted yet."""
    await stage.execute(
        f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{DATABASE}' AND application_name <> 'faults'",
    )
    await asyncio.sleep(stage.lasts(short_s=2, long_s=20))
    await stage.execute(
        "SET default_transaction_read_only = off",
        f"ALTER DATABASE {DATABASE} RESET default_transaction_read_only",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{DATABASE}' AND application_name <> 'faults'",
    )


FAULTS = (
    Fault(
        "disk-full",
        "Reads are served; a write for which there is no room is answered 503 with Retry-After.",
        _fill_disk,
        why_not=no_disk,
        disk_mib=_MIB,
        parameters={"max_wal_size": "64MB", "min_wal_size": "32MB"},
        is_in_short_form=True,
        shown_by="refused",
    ),
    Fault(
        "wal-full",
        "PostgreSQL ends itself, as when it is killed; once there is room and it runs again, all is served.",
        _fill_by_wal,
        why_not=no_disk,
        disk_mib=_MIB,
        parameters={"max_wal_size": "64MB", "min_wal_size": "32MB"},
        shown_by="refused",
    ),
    Fault(
        "read-only",
        "Reads are served; writes are answered 503 `read-only` with Retry-After.",
        _forbid_writing,
        shown_by="refused",
    ),
)
