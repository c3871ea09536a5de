"""Vacancies: schemas that were made ready in advance. One becomes a tenant by an update of its row in the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import func, select

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.database import DriverConnection, PlatformSession
from leasehold.core.ids import new_id
from leasehold.tenancy.audit.models import PlatformAuditEvent
from leasehold.tenancy.audit.row import event_row
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.names import literal, quoted
from leasehold.tenancy.registry import CHANNEL, Tenant

_ROW = """id, slug, name, state, revision, is_canary, is_read_only, maintenance_ends_at, created_at, updated_at,
    deleted_at, purge_at, plan, deletion_requested_at"""
_COLUMNS = ", ".join(PlatformAuditEvent.__table__.columns.keys())
# Everything that a claim writes is one statement: of fifty who sign up at once, each waits for the round trips of all.
# A migration holds the row of the vacancy that it is at, and another claim that of the one it takes.
_CLAIM = f"""\
WITH claimed AS (
    UPDATE platform.tenants
       SET slug = $1, name = $2, state = 'active', created_at = now(), updated_at = now()
     WHERE id = (SELECT id FROM platform.tenants WHERE state = 'vacant' AND revision = $3
                  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING {_ROW}
), event AS (
    SELECT $4::jsonb || jsonb_build_object('target_id', id) AS event FROM claimed
), told AS (
    INSERT INTO platform.audit_events ({_COLUMNS})
    SELECT {_COLUMNS} FROM event, jsonb_populate_record(NULL::platform.audit_events, event)
), announced AS (
    INSERT INTO platform.registry_changes (id, tenant_id, xact)
    SELECT $5, id, pg_current_xact_id()::text::bigint FROM claimed
)
SELECT {_ROW},
       (SELECT count(*) - 1 FROM platform.tenants WHERE state = 'vacant' AND revision = $3) AS vacancies_left,
       platform.take_slug(id, slug),
       platform.record_to_tenant(id, event),
       pg_notify({literal(CHANNEL)}, '')
  FROM claimed, event"""


def first_pages_sql(schema: str) -> str:
    """Return the statements that make the first pages of a vacancy's log and of its indexes, for the owner.

    Whoever claims it would wait for that. A row makes them, and is taken back; the log is empty as before.
    """
    log = f"{quoted(schema)}.audit_events"
    return (
        f"INSERT INTO {log} (id, created_at, actor_kind, action, outcome, changes) "
        f"VALUES (gen_random_uuid(), now(), 'system', 'vacancy', 'succeeded', '{{}}'); DELETE FROM {log}"
    )


@dataclass(frozen=True, slots=True)
class Claimed:
    """A vacancy that has become a tenant."""

    tenant: Mapping[str, Any]
    """Its row of the registry."""
    vacancies_left: int
    """How many more there were, with those that are being claimed at the same time."""


async def claim_vacancy(
    connection: DriverConnection, *, slug: str, name: str, revision: str, by: Actor
) -> Claimed | None:
    """Make a vacancy the tenant of this slug and return it, None where none stands ready at this revision.

    It takes no rights of the owner. As one statement it is a transaction of its own, unless the connection is in one.

    Raises:
        asyncpg.UniqueViolationError: another tenant has the slug, or had it until lately.
    """
    event = event_row(by, "tenant.provisioned", ("tenant", None), changes=created(slug=slug))
    told = msgspec.json.encode(event).decode()
    row = await connection.fetchrow(_CLAIM, slug, name, revision, told, new_id())
    return Claimed(dict(row), row["vacancies_left"]) if row else None


async def count_vacancies(session: PlatformSession, *, revision: str) -> int:
    """Return how many vacancies stand ready at a revision."""
    statement = select(func.count()).where(Tenant.state == TenantState.VACANT, Tenant.revision == revision)
    return await session.scalar(statement) or 0
