"""Restores in tests: a tenant that is put back, from an archive in a file or in a folder of backups."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from leasehold.config import Settings
from leasehold.platform.backups.names import archive_path
from leasehold.process import Process
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.restores.restoring import PutBack, Restorer
from tests.archives import PASSPHRASE, exported, seen
from tests.factories import OPERATOR
from tests.processes import outlived

_IS_LEASEHOLD = "from leasehold.cli import main; main()"
_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")


async def put_back(process: Process, file: Path, tenant_id: UUID, *, restorer: Restorer | None = None) -> PutBack:
    """Put a tenant back to what an archive has."""
    with ArchiveFile(file) as archive:
        key = archive.key(PASSPHRASE)
        return await (restorer or process.restorer).put_back(archive, key, tenant_id, by=OPERATOR)


async def rows_of(
    process: Process, owner: Any, tenant_id: UUID, *, without_events: bool = True
) -> dict[str, list[str]]:
    """Return all rows of a tenant, wherever it lives; without its audit log, in which each move is an event."""
    schema = await owner.fetchval("SELECT schema_name FROM platform.tenants WHERE id = $1", tenant_id)
    found = await seen(owner, tenant_id, schema, process.key)
    if without_events:
        del found["audit_events"]
    return found


async def aside_of(owner: Any, tenant_id: UUID) -> Any:
    """Return the registry's row of what is set aside for a tenant, None where there is nothing."""
    return await owner.fetchrow(
        "SELECT a.* FROM platform.tenants a JOIN platform.tenant_restores r ON r.aside_id = a.id "
        "WHERE r.tenant_id = $1",
        tenant_id,
    )


async def backed_up(process: Process, tenant: TenantRef, store: Path) -> Path:
    """Put an archive of a tenant into a folder of backups, and return the file."""
    made = await exported(process, tenant.slug, store / "made")
    file = store / archive_path(tenant.id, made.made_at)
    file.parent.mkdir(parents=True, exist_ok=True)
    (store / "made").rename(file)
    return file


def command(
    settings: Settings, store: Path, *arguments: str | Path, passphrase: str = PASSPHRASE, does: str = _IS_LEASEHOLD
) -> subprocess.Popen[str]:
    """Start `leasehold` on an installation with a folder of backups, or another program that `does` the same."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("LEASEHOLD_")}
    environment |= {f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value() for name in _SECRETS}
    environment |= {"LEASEHOLD_BACKUP_PASSPHRASE": passphrase, "LEASEHOLD_BACKUP_URL": f"file://{store}"}
    return subprocess.Popen(
        [sys.executable, "-c", does, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )


async def said_by(settings: Settings, store: Path, *arguments: str | Path, status: int = 0, **how: str) -> str:
    """Run `leasehold` to its end, and return what it said: its result, or why there is none."""
    with outlived(command(settings, store, *arguments, **how)) as running:
        out, err = await asyncio.to_thread(running.communicate, timeout=180)
    assert running.returncode == status, out + err
    assert "Traceback" not in err
    return err.splitlines()[-1] if status == 2 else out
