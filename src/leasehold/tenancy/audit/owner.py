"""What the owner's connections write down: that a tenant came into being, and that a run over the fleet began."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.database import DriverConnection
from leasehold.tenancy.audit.models import TABLE, PlatformAuditEvent
from leasehold.tenancy.audit.row import event_row
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.names import quoted

_COLUMNS = tuple(PlatformAuditEvent.__table__.columns.keys())
_VALUES = f"({', '.join(_COLUMNS)}) VALUES ({', '.join(f'${number + 1}' for number in range(len(_COLUMNS)))})"
_TO_PLATFORM = f"INSERT INTO platform.{TABLE} {_VALUES}"
_TO_BOTH = f"WITH platform AS ({_TO_PLATFORM}) INSERT INTO {TABLE} {_VALUES}"


async def record_provisioning(connection: DriverConnection, tenant: TenantRef, by: Actor) -> None:
    """Write the first event of a new tenant, and the same one for the platform."""
    row = event_row(by, "tenant.provisioned", ("tenant", tenant.id), changes=created(slug=tenant.slug))
    await connection.execute(_TO_BOTH, *_arguments(row))


async def record_import(
    connection: DriverConnection, tenant_id: UUID, by: Actor, *, slug: str, changes: Mapping[str, object]
) -> None:
    """Write down, in the log that came with a tenant and for the platform, that it came from an archive."""
    row = event_row(by, "tenant.imported", ("tenant", tenant_id), changes=created(slug=slug, **changes))
    await connection.execute(_TO_BOTH, *_arguments(row))


async def record_restore(
    connection: DriverConnection, tenant_id: UUID, by: Actor, action: str, *, changes: Mapping[str, object]
) -> None:
    """Write down, in the log of a tenant to which the path leads and for the platform, that it was put back."""
    row = event_row(by, action, ("tenant", tenant_id), changes=created(**changes))
    await connection.execute(_TO_BOTH, *_arguments(row))


async def record_takeover(connection: DriverConnection, by: Actor, *, changes: Mapping[str, object]) -> None:
    """Write down, in the log that came with a platform, that it came from an archive."""
    row = event_row(by, "platform.taken_over", ("platform", None), changes=created(**changes))
    await connection.execute(_TO_PLATFORM, *_arguments(row))


async def record_clone(
    connection: DriverConnection,
    tenant: TenantRef,
    by: Actor,
    *,
    source_id: UUID,
    source_schema: str,
    is_scrubbed: bool,
) -> None:
    """Write down that a tenant is a copy, in its own log, in that of what it is a copy of, and for the platform."""
    changes = created(source_id=str(source_id), is_scrubbed=is_scrubbed)
    arguments = _arguments(event_row(by, "tenant.cloned", ("tenant", tenant.id), changes=changes))
    await connection.execute(_TO_BOTH, *arguments)
    await connection.execute(f"INSERT INTO {quoted(source_schema)}.{TABLE} {_VALUES}", *arguments)


async def record_run(connection: DriverConnection, run_id: UUID, by: Actor, *, kind: str, target: str) -> None:
    """Write down that a run over the fleet begins."""
    row = event_row(by, "fleet.run_started", ("fleet_run", run_id), changes=created(kind=kind, target=target))
    await connection.execute(_TO_PLATFORM, *_arguments(row))


async def record_purge(connection: DriverConnection, tenant_id: UUID, by: Actor, certificate: asyncpg.Record) -> None:
    """Write the certificate of a purge: when it began, and how many rows each table had."""
    changes = {
        "started_at": {"from": None, "to": certificate["started_at"]},
        "row_counts": {"from": json.loads(certificate["row_counts"]), "to": None},
    }
    row = event_row(by, "tenant.purged", ("tenant", tenant_id), changes=changes)
    await connection.execute(_TO_PLATFORM, *_arguments(row))


def _arguments(row: Mapping[str, Any]) -> list[object]:
    return [json.dumps(row[name]) if name == "changes" else row[name] for name in _COLUMNS]
