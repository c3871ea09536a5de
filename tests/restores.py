"""Restores in tests: a tenant that is put back, from an archive in a file."""

from pathlib import Path
from typing import Any
from uuid import UUID

from leasehold.process import Process
from leasehold.tenancy.archive.reading import ArchiveFile
from leasehold.tenancy.restores.restoring import PutBack, Restorer
from tests.archives import PASSPHRASE, seen
from tests.factories import OPERATOR


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
