"""What is in the database after a hunt: every row of every tenant, and what the hunters know of it."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.models import TenantModel
from tests.isolation.hunt.hunter import Hunter
from tests.isolation.hunt.tenants import Hunted

# As text, and as a column of bytes is shown.
_MARKS = """
SELECT DISTINCT found[1] FROM {table} AS row_of, regexp_matches(row_of::text,
    'mk[0-9a-f]{{12}}km|6d6b(?:3[0-9]|6[1-6]){{12}}6b6d', 'g') AS found
"""
_ITEMS = "SELECT id::text, title FROM {table} WHERE deleted_at IS NULL"


async def strangers(settings: Settings, tenants: Sequence[Hunted], hunters: Sequence[Hunter]) -> list[str]:
    """Return what is wrong with the rows of tenants: marks of others, and items that are not as they were left."""
    assert settings.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    try:
        wrong: list[str] = []
        for place, tenant in enumerate(tenants):
            wrong += await _foreign_marks(connection, tenant)
            rows = await connection.fetch(_ITEMS.format(table=f'"{tenant.schema}".items'))
            wrong += _unlike_the_journals(place, tenant, {row["id"]: row["title"] for row in rows}, hunters)
    finally:
        await connection.close()
    return wrong


async def _foreign_marks(connection: Any, tenant: Hunted) -> list[str]:
    known = {tenant.mark, tenant.mark.encode().hex()}
    wrong: list[str] = []
    for table in sorted(TenantModel.metadata.tables):
        found = await connection.fetch(_MARKS.format(table=f'"{tenant.schema}"."{table}"'))
        wrong += [f"{table} of {tenant.mark} has {row[0]}" for row in found if row[0] not in known]
    return wrong


def _unlike_the_journals(place: int, tenant: Hunted, rows: dict[str, str], hunters: Sequence[Hunter]) -> list[str]:
    wrong = [f"{name} of {tenant.mark} is {title}" for name, title in rows.items() if title.endswith("never")]
    for hunter in hunters:
        for name, own in hunter.journal[place].items():
            if own.is_certain and rows.get(name) != (None if own.is_deleted else own.title):
                wrong.append(f"{name} of {tenant.mark} is {rows.get(name)!r} and not {own}")
    return wrong
