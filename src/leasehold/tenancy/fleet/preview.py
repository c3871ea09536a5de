"""The SQL of a migration for one tenant, as the engine would say it."""

from collections.abc import Mapping
from typing import Any

import asyncpg
from sqlalchemy import MetaData

from leasehold.core.database import DriverConnection, driver_url
from leasehold.core.lively import LivelyConnection
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.ledger import revision_sql
from leasehold.tenancy.fleet.limits import Limits
from leasehold.tenancy.fleet.plan import Plan, PlannedTenant
from leasehold.tenancy.fleet.reference import schema_at
from leasehold.tenancy.fleet.replay import binding, demand_revision
from leasehold.tenancy.fleet.segments import Segment
from leasehold.tenancy.names import quoted
from leasehold.tenancy.rights import HELD_RIGHTS, rights_sql


async def statements_for(
    owner_url: str, history: TenantHistory, plan: Plan, limits: Limits, metadata: MetaData
) -> list[str]:
    """Return the statements for the tenants of a plan, each with its semicolon; what the ledger is told is left out.

    Which rights are missing is found out in a schema that is built for it and thrown away.
    """
    connection = await asyncpg.connect(driver_url(owner_url), connection_class=LivelyConnection, timeout=10)
    try:
        return [
            line
            for tenant in plan.tenants
            for line in await _statements(connection, history, plan, tenant, limits, metadata)
        ]
    finally:
        await connection.close()


async def _statements(
    connection: DriverConnection,
    history: TenantHistory,
    plan: Plan,
    tenant: PlannedTenant,
    limits: Limits,
    metadata: MetaData,
) -> list[str]:
    lines: list[str] = []
    for segment in plan.rendering_of(tenant).segments:
        lines.append(f"-- {segment.start or 'base'} -> {segment.end or 'base'}")
        if segment.is_live:
            lines.append(f"-- revision {segment.end} is live: it is run by Alembic, and decides there what to do")
        elif segment.autocommit:
            lines += [f"SET search_path = {quoted(tenant.schema.schema)}, pg_temp;", f"{limits.alone};"]
            lines += [f"{statement};" for statement in segment.statements]
        else:
            rights = await _rights(connection, history, tenant, segment, metadata)
            moved = revision_sql(tenant.id, segment.end) if segment.end and segment.end != segment.start else ""
            opening = [binding(tenant.schema.schema), limits.in_transaction, demand_revision(segment.start)]
            said = ["BEGIN", *opening, *segment.statements, *rights, moved, "COMMIT"]
            lines += [f"{statement};" for statement in said if statement]
    return lines


async def _rights(
    connection: DriverConnection, history: TenantHistory, tenant: PlannedTenant, segment: Segment, metadata: MetaData
) -> list[str]:
    before = await _held_at(connection, history, segment.start, metadata)
    after = await _held_at(connection, history, segment.end, metadata)
    held = [{"table_name": name, "privileges": before.get(name, [])} for name in after]
    return rights_sql(metadata, held, schema=tenant.schema.schema, role=tenant.schema.role)


async def _held_at(
    connection: DriverConnection, history: TenantHistory, revision: str | None, metadata: MetaData
) -> Mapping[str | None, Any]:
    if revision is None:
        return {}
    async with schema_at(connection, history, revision, metadata) as target:
        rows = await connection.fetch(HELD_RIGHTS, target.schema, target.role)
        return {row["table_name"]: row["privileges"] for row in rows}
