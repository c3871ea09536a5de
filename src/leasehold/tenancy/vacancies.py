"""Vacancies: schemas that were made ready in advance. One becomes a tenant by an update of its row in the registry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import func, select

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.database import DriverConnection, PlatformSession
from leasehold.core.ids import new_id
from leasehold.tenancy.audit.models import TABLE, PlatformAuditEvent
from leasehold.tenancy.audit.row import event_row
from leasehold.tenancy.context import TenantState
from leasehold.tenancy.names import literal, quoted
from leasehold.tenancy.registry import CHANNEL, Tenant

_ROW = """id, slug, name, state, revision, is_canary, is_read_only, maintenance_ends_at, created_at, updated_at,
    deleted_at, purge_at, plan, deletion_requested_at"""
_COLUMNS = ", ".join(PlatformAuditEvent.__table__.columns.keys())
# Everything that claims write is one statement: of fifty who sign up at once, each waits for the round trips of all.
# A migration holds the row of the vacancy that it is at, and another statement those that it takes.
_CLAIM = f"""\
WITH free AS (
    SELECT array_agg(id ORDER BY id) AS ids
      FROM (SELECT id FROM platform.tenants WHERE state = 'vacant' AND revision = $5
             ORDER BY id LIMIT cardinality($1::text[]) FOR UPDATE SKIP LOCKED) AS locked
), claimed AS (
    UPDATE platform.tenants
       SET slug = ($1::text[])[array_position(ids, id)], name = ($2::text[])[array_position(ids, id)],
           state = 'active', created_at = now(), updated_at = now()
      FROM free WHERE id = ANY (ids)
    RETURNING {_ROW}, array_position(ids, id) AS place
), event AS (
    SELECT id AS tenant_id, ($3::text[])[place]::jsonb || jsonb_build_object('target_id', id) AS event FROM claimed
), told AS (
    INSERT INTO platform.audit_events ({_COLUMNS})
    SELECT {_COLUMNS} FROM event, jsonb_populate_record(NULL::platform.audit_events, event)
), announced AS (
    INSERT INTO platform.registry_changes (id, tenant_id, xact)
    SELECT ($4::uuid[])[place], id, pg_current_xact_id()::text::bigint FROM claimed
)
SELECT {_ROW}, place,
       (SELECT count(*) FROM platform.tenants WHERE state = 'vacant' AND revision = $5) - count(*) OVER ()
           AS vacancies_left,
       platform.take_slug(id, slug),
       platform.record_to_tenant(id, event),
       pg_notify({literal(CHANNEL)}, '')
  FROM claimed JOIN event ON tenant_id = id"""


def first_pages_sql(schema: str) -> str:
    """Return the statements that make the first pages of a vacancy's log and of its indexes, for the owner.

    Whoever claims it would wait for that. A row makes them, and is taken back; the log is empty as before.
    """
    log = f"{quoted(schema)}.{TABLE}"
    return (
        f"INSERT INTO {log} (id, created_at, actor_kind, action, outcome, changes) "
        f"VALUES (gen_random_uuid(), now(), 'system', 'vacancy', 'succeeded', '{{}}'); DELETE FROM {log}"
    )


@dataclass(frozen=True, slots=True)
class SignUp:
    """A tenant that somebody wants."""

    slug: str
    name: str
    by: Actor

    @property
    def event(self) -> str:
        """What is written down of it, as JSON; whom it became is still to be said."""
        changes = created(slug=self.slug)
        return msgspec.json.encode(event_row(self.by, "tenant.provisioned", ("tenant", None), changes=changes)).decode()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A vacancy that has become a tenant."""

    tenant: Mapping[str, Any]
    """Its row of the registry."""
    vacancies_left: int
    """How many more there were, with those that are being claimed at the same time."""


async def claim_vacancies(
    connection: DriverConnection, wanted: Sequence[SignUp], *, revision: str
) -> list[Claimed | None]:
    """Make vacancies that stand ready at a revision the tenants that are wanted, and return one for each.

    Where there are too few, those at the end get None. It takes no rights of the owner. As one statement it is a
    transaction of its own, unless the connection is in one.

    Raises:
        asyncpg.UniqueViolationError: another tenant has one of the slugs, or had it until lately; nobody gets one.
    """
    slugs, names = [one.slug for one in wanted], [one.name for one in wanted]
    events, changes = [one.event for one in wanted], [new_id() for _ in wanted]
    rows = await connection.fetch(_CLAIM, slugs, names, events, changes, revision)
    claimed: list[Claimed | None] = [None] * len(wanted)
    for row in rows:
        claimed[row["place"] - 1] = Claimed(dict(row), row["vacancies_left"])
    return claimed


async def count_vacancies(session: PlatformSession, *, revision: str) -> int:
    """Return how many vacancies stand ready at a revision."""
    statement = select(func.count()).where(Tenant.state == TenantState.VACANT, Tenant.revision == revision)
    return await session.scalar(statement) or 0
