"""Archives in tests: a tenant filled with whatever its columns can hold, and what can be seen of all its rows."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import JSONB

from leasehold.core.database import platform_session
from leasehold.core.models import TenantModel
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

_NASTY = st.sampled_from(
    ["", "\\N", "\\.", "\t", "\n", "\r\n", "\\", "'", '"', "NULL", "a\tb\\n\nc", "{}", "ﬁ\u202e\U0001f600"]
)
_TEXT = _NASTY | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
_TIMES = st.sampled_from(
    [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), datetime(1970, 1, 1, tzinfo=UTC)]
) | st.datetimes(timezones=st.just(UTC))
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | _TEXT.filter(lambda text: "\0" not in text),
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
    "users.email": _TEXT.map(str.lower).filter(lambda text: text == text.lower()),
    "invitations.role": st.sampled_from(["owner", "admin", "member"]),
    "invitations.email": st.text("abc'\\\t\n", max_size=20),
    "items.title": st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=20),
    "items.status": st.sampled_from(["open", "done", "archived"]),
    "confirmations.purpose": st.sampled_from(["password", "email"]),
    "user_sessions.end_reason": st.none() | st.sampled_from(["logged_out", "replayed", "password_changed", "revoked"]),
    "tenant_settings.is_only": st.just(True),
    "tenant_settings.registration": st.none() | st.sampled_from(["open", "invite_only", "closed"]),
    "idempotency_keys.key": st.text(
        st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=20
    ),
    "audit_events.actor_kind": st.sampled_from(["user", "client", "key", "admin", "operator", "system", "anonymous"]),
    "audit_events.outcome": st.sampled_from(["succeeded", "refused"]),
}
_SEEDED = frozenset({"tenant_secrets"})
"""Tables whose rows the product makes, for others would mean nothing to it."""


@st.composite
def rows_of_a_tenant(draw: st.DrawFn) -> Rows:
    """Draw rows for every table of a tenant's schema; those that refer to another table refer to a row that is there."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in TenantModel.metadata.sorted_tables:
        if table.name in _SEEDED:
            continue
        count = 1 if table.name == "tenant_settings" else draw(st.integers(1, 3))
        rows[table.name] = [_row(draw, table, rows) for _ in range(count)]
        if table.name == "api_keys":
            for row in rows[table.name]:
                row["client_id" if draw(st.booleans()) else "user_id"] = None
                if row["client_id"] is None and row["user_id"] is None:
                    row["user_id"] = rows["users"][0]["id"]
    return {name: _unique(TenantModel.metadata.tables[name], found) for name, found in rows.items()}


def _row(draw: st.DrawFn, table: Table, rows: Rows) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for column in table.columns:
        keys = list(column.foreign_keys)
        if keys:
            referred = draw(st.sampled_from([other["id"] for other in rows[keys[0].column.table.name]]))
            row[column.name] = referred
        else:
            row[column.name] = draw(_values(table, column))
    return row


def _values(table: Table, column: Column[Any]) -> st.SearchStrategy[Any]:
    allowed = _ALLOWED.get(f"{table.name}.{column.name}")
    if allowed is not None:
        return allowed
    kind = dict if isinstance(column.type, JSONB) else column.type.python_type
    values = _BY_TYPE[kind]
    return st.none() | values if column.nullable else values


def _unique(table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out rows that a unique constraint would refuse."""
    kept: list[dict[str, Any]] = []
    unique = [
        ["id"],
        *(
            [column.name for column in key.columns]
            for key in table.constraints
            if key.__visit_name__ == "unique_constraint"
        ),
    ]
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        marks = [(place, *(row[name] for name in key)) for place, key in enumerate(unique)]
        if not any(mark in seen for mark in marks if None not in mark):
            seen.update(marks)
            kept.append(row)
    return kept


async def fill(owner: Any, schema: str, key: InstallationKey, rows: Rows) -> None:
    """Write rows into a tenant's tables, with secrets that the installation's key opens."""
    async with owner.transaction():
        for table in TenantModel.metadata.sorted_tables:
            for row in rows.get(table.name, ()):
                values = dict(row)
                if table.name == "totp":
                    values["wrapped"] = key.wrap(values["wrapped"], purpose=f"user {values['user_id']} totp")
                await _insert(owner, schema, table, values)


async def _insert(owner: Any, schema: str, table: Table, values: Mapping[str, Any]) -> None:
    import json

    def encoded(name: str) -> Any:
        return json.dumps(values[name]) if isinstance(table.columns[name].type, JSONB) else values[name]

    columns = ", ".join(f'"{name}"' for name in values)
    places = ", ".join(f"${number + 1}" for number in range(len(values)))
    await owner.execute(
        f'INSERT INTO "{schema}"."{table.name}" ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING',
        *map(encoded, values),
    )


async def seen(owner: Any, tenant_id: UUID, schema: str, key: InstallationKey) -> dict[str, list[str]]:
    """Return all rows of a tenant as text, secrets as they are when they are opened, by table."""
    found: dict[str, list[str]] = {}
    wrapped = {place.table: place for place in WRAPPED}
    for table in TenantModel.metadata.sorted_tables:
        if table.name == "limit_rooms":
            continue
        place = f'"{schema}"."{table.name}"'
        if secret := wrapped.get(table.name):
            rows = await owner.fetch(
                f"SELECT (to_jsonb(t) - '{secret.column}')::text AS shown, \"{secret.name}\"::text AS name, "
                f'"{secret.column}" AS wrapped FROM {place} t ORDER BY id'
            )
            opened = [key.unwrap(row["wrapped"], purpose=secret.purpose(tenant_id, row["name"])).hex() for row in rows]
            found[table.name] = [row["shown"] + text for row, text in zip(rows, opened, strict=True)]
        else:
            found[table.name] = [row[0] for row in await owner.fetch(f"SELECT t::text FROM {place} t ORDER BY id")]
    return found


def archives(process: Process) -> ArchiveService:
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
