"""The ledger: what each run did to each tenant. What it says of a success is committed with the success itself."""

import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.database import DriverConnection
from leasehold.core.ids import new_id
from leasehold.tenancy.audit.owner import record_run
from leasehold.tenancy.fleet.replay import message
from leasehold.tenancy.names import literal
from leasehold.tenancy.registry import announcement_sql

RunKind = Literal["upgrade", "downgrade", "call"]
Outcome = Literal["succeeded", "failed", "stopped"]

_START = """
INSERT INTO platform.fleet_runs (id, kind, target, host, pid, planned, started_at)
VALUES ($1, $2, $3, $4, $5, $6, now())
"""
_FINISH = """
UPDATE platform.fleet_runs SET outcome = $2, reason = $3, finished_at = now() WHERE id = $1 AND outcome IS NULL
"""
_GONE = "SELECT id FROM platform.tenants WHERE id = ANY($1) AND state IN ('purging', 'purged')"
_FAIL = """
INSERT INTO platform.fleet_results (id, run_id, tenant_id, start, target, error, attempts, duration_ms, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
"""


@dataclass(frozen=True, slots=True)
class TenantResult:
    """What became of one tenant in a run. `target` is where it should go, or what was to be called."""

    tenant_id: UUID
    slug: str
    start: str
    target: str
    attempts: int
    duration_ms: int
    error: str | None = None


async def start_run(
    connection: DriverConnection, run_id: UUID, *, kind: RunKind, target: str, planned: int, by: Actor
) -> None:
    """Write down that a run begins, in the ledger and in the audit log."""
    async with connection.transaction():
        await connection.execute(_START, run_id, kind, target, socket.gethostname(), os.getpid(), planned)
        await record_run(connection, run_id, by, kind=kind, target=target)


async def finish_run(connection: DriverConnection, run_id: UUID, outcome: Outcome, reason: str | None) -> None:
    """Write down how a run ended, unless somebody who took over has done so."""
    await connection.execute(_FINISH, run_id, outcome, reason)


async def gone_among(connection: DriverConnection, tenant_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Return those of some tenants that are being purged, or were: nothing is left to be done with their schemas."""
    return frozenset(row["id"] for row in await connection.fetch(_GONE, list(tenant_ids)))


async def record_failure(connection: DriverConnection, run_id: UUID, result: TenantResult, fence: str) -> None:
    """Write down that a tenant could not be migrated."""
    async with connection.transaction():
        values = (result.start, result.target, result.error, result.attempts, result.duration_ms)
        await connection.execute(_FAIL, new_id(), run_id, result.tenant_id, *values)
        await connection.execute(fence)


def revision_sql(tenant_id: UUID, revision: str) -> str:
    """Return the statements that tell the registry, and every process, where a tenant's schema now stands."""
    return message(
        f"UPDATE platform.tenants SET revision = {literal(revision)} WHERE id = {literal(str(tenant_id))}",
        announcement_sql(tenant_id),
    )


def success_sql(run_id: UUID, result: TenantResult) -> str:
    """Return the statement that writes down a success; what its own transaction has taken comes on top."""
    names = ", ".join(literal(text) for text in (str(new_id()), str(run_id), str(result.tenant_id)))
    return (
        "INSERT INTO platform.fleet_results (id, run_id, tenant_id, start, target, attempts, duration_ms, finished_at) "
        f"VALUES ({names}, {literal(result.start)}, {literal(result.target)}, {result.attempts}, "
        f"{result.duration_ms} + (extract(epoch FROM clock_timestamp() - now()) * 1000)::bigint, now())"
    )
