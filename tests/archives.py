"""Archives in tests: a tenant filled with whatever its columns can hold, and what can be seen of all its rows."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from sqlalchemy import Column, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB

from leasehold.core.database import platform_session
from leasehold.core.models import TenantModel, travels
from leasehold.core.vault import InstallationKey
from leasehold.platform.archives.schemas import Exported
from leasehold.platform.archives.service import ArchiveService
from leasehold.platform.lifecycle.service import LifecycleService
from leasehold.process import Process
from leasehold.tenancy.archive.importing import Destination, Imported
from leasehold.workspace.features import WRAPPED
from tests.factories import OPERATOR

PASSPHRASE = "a horse that nobody names"
Rows = Mapping[str, Sequence[Mapping[str, Any]]]

_CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=("Cs",))
_NASTY = ["", "\\N", "\\.", "\t", "\n", "\r\n", "\\", "'", '"', "NULL", "a\tb\\n\nc", "{}", "ﬁ\u202e\U0001f600"]
_TEXT = st.sampled_from(_NASTY) | st.text(_CHARACTERS, max_size=20)
_SHORT = st.text(_CHARACTERS, min_size=1, max_size=20)
_TIMES = st.sampled_from(
    [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), datetime(1970, 1, 1, tzinfo=UTC)]
) | st.datetimes(timezones=st.just(UTC))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_BY_TYPE: dict[type, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.sampled_from([0, -1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    bytes: st.sampled_from([b"", b"\\x", b"\0\t\n\\"]) | st.binary(max_size=40),
    datetime: _TIMES,
    UUID: st.uuids(),
    list: st.lists(_TEXT, max_size=4),
    dict: _JSON,
}
_ALLOWED: dict[str, st.SearchStrategy[Any]] = {
    "users.role": st.sampled_from(["owner", "admin", "member"]),
    "users.email": st.text("abc'\\\t\n", max_size=20),
    "invitations.role": st.sampled_from(["owner", "admin", "member"]),
    "invitations.email": st.text("abc'\\\t\n", max_size=20),
    "items.title": _SHORT,
    "items.status": st.sampled_from(["open", "done", "archived"]),
    "confirmations.purpose": st.sampled_from(["password", "email"]),
    "user_sessions.end_reason": st.none() | st.sampled_from(["logged_out", "replayed", "password_changed", "revoked"]),
    "tenant_settings.is_only": st.just(True),
    "tenant_settings.registration": st.none() | st.sampled_from(["open", "invite_only", "closed"]),
    "idempotency_keys.key": _SHORT,
    "tenant_exports.state": st.sampled_from(["ready", "failed"]),
    "audit_events.actor_kind": st.sampled_from(["user", "client", "key", "admin", "operator", "system", "anonymous"]),
    "audit_events.outcome": st.sampled_from(["succeeded", "refused"]),
}
"""What the check constraints allow."""
_SEEDED = "tenant_secrets"
"""The table whose rows the product makes, for others would mean nothing to it."""


@st.composite
def rows_of_a_tenant(draw: st.DrawFn) -> Rows:
    """Draw rows for every table of a tenant's schema, each behind those that it refers to."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in TenantModel.metadata.sorted_tables:
        if table.name != _SEEDED:
            drawn = [_row(draw, table, rows) for _ in range(draw(st.integers(1, 3)))]
            rows[table.name] = _distinct(table, drawn)
    for key in rows["api_keys"]:
        key["client_id" if draw(st.booleans()) else "user_id"] = None  # exactly one of them owns it
    return rows


def _row(draw: st.DrawFn, table: Table, rows: Rows) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column in table.columns:
        for key in column.foreign_keys:
            row[column.name] = draw(st.sampled_from([other["id"] for other in rows[key.column.table.name]]))
        if not column.foreign_keys:
            row[column.name] = draw(_values(table, column))
    return row


def _values(table: Table, column: Column[Any]) -> st.SearchStrategy[Any]:
    allowed = _ALLOWED.get(f"{table.name}.{column.name}")
    if allowed is not None:
        return allowed
    values = _BY_TYPE[dict if isinstance(column.type, JSONB) else column.type.python_type]
    return st.none() | values if column.nullable else values


def _distinct(table: Table, drawn: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out rows that a unique constraint would refuse, before others refer to them."""
    kept: list[dict[str, Any]] = []
    taken: set[tuple[Any, ...]] = set()
    for row in drawn:
        marks = {(*key, *(row[name] for name in key)) for key in _unique(table)}
        if not taken & marks:
            kept.append(row)
        taken |= marks
    return kept


def _unique(table: Table) -> list[tuple[str, ...]]:
    keys = [key for key in table.constraints if isinstance(key, UniqueConstraint)]
    return [("id",), *(tuple(column.name for column in key.columns) for key in keys)]


async def fill(owner: Any, schema: str, key: InstallationKey, rows: Rows) -> None:
    """Write rows into a tenant's tables; secrets are wrapped."""
    async with owner.transaction():
        for table in TenantModel.metadata.sorted_tables:
            for row in rows.get(table.name, ()):
                values = dict(row)
                if table.name == "totp":
                    values["wrapped"] = key.wrap(values["wrapped"], purpose=f"user {values['user_id']} totp")
                await _insert(owner, schema, table, values)


async def _insert(owner: Any, schema: str, table: Table, values: Mapping[str, Any]) -> None:
    encoded = [
        json.dumps(value) if isinstance(table.columns[name].type, JSONB) else value for name, value in values.items()
    ]
    columns = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"${number + 1}" for number in range(len(values)))
    await owner.execute(f'INSERT INTO "{schema}"."{table.name}" ({columns}) VALUES ({places})', *encoded)


async def seen(owner: Any, tenant_id: UUID, schema: str, key: InstallationKey) -> dict[str, list[str]]:
    """Return all rows of a tenant as text, by table, with secrets as they are when they are opened."""
    found: dict[str, list[str]] = {}
    secrets = {place.table: place for place in WRAPPED}
    for table in TenantModel.metadata.sorted_tables:
        place, secret = f'"{schema}"."{table.name}"', secrets.get(table.name)
        if secret:
            rows = await owner.fetch(
                f"SELECT (to_jsonb(t) - '{secret.column}')::text AS shown, \"{secret.name}\"::text AS name, "
                f'"{secret.column}" AS wrapped FROM {place} t ORDER BY id'
            )
            opened = [key.unwrap(row["wrapped"], purpose=secret.purpose(tenant_id, row["name"])).hex() for row in rows]
            found[table.name] = [row["shown"] + text for row, text in zip(rows, opened, strict=True)]
        elif travels(table):
            found[table.name] = [row[0] for row in await owner.fetch(f"SELECT t::text FROM {place} t ORDER BY id")]
    return found


def archives(process: Process) -> ArchiveService:
    """Return the service as the command makes it."""
    return ArchiveService(partial(platform_session, process.database), process.exporter, process.importer)


async def exported(process: Process, slug: str, file: Path) -> Exported:
    """Export a tenant."""
    return await archives(process).export(slug, file, passphrase=PASSPHRASE, by=OPERATOR)


async def imported(process: Process, file: Path, **to: Any) -> Imported:
    """Import an archive."""
    return await archives(process).load(file, passphrase=PASSPHRASE, to=Destination(**to), by=OPERATOR)


async def purged(process: Process, tenant_id: UUID) -> None:
    """Delete a tenant and destroy it at once."""
    async with platform_session(process.database) as session:
        await LifecycleService(session, grace=timedelta(0)).delete(tenant_id, by=OPERATOR)
    assert await process.purger.purge(tenant_id, by=OPERATOR)
