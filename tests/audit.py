"""What tests ask of the audit logs, past the API."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.tenancy.context import TenantRef


def events_of(settings: Settings, tenant: TenantRef | None, *, action: str | None = None) -> list[dict[str, Any]]:
    """Return the events of a tenant's log, or of the platform's for None, in the order they were written."""
    assert settings.owner_url is not None
    schema = tenant.schema if tenant else "platform"
    with psycopg.connect(driver_url(settings.owner_url.get_secret_value())) as connection:
        cursor = connection.execute(
            "SELECT id, created_at, actor_kind, actor_id, impersonator_id, action, target_kind, target_id, outcome,"
            f' reason, request_id, changes FROM "{schema}".audit_events ORDER BY id'
        )
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
    return [event for event in found if action in {None, event["action"]}]


@contextmanager
def refusing_events(settings: Settings, tenant: TenantRef | None) -> Generator[None]:
    """Let a tenant's log, or that of the platform for None, take no event while this lasts."""
    assert settings.owner_url is not None
    table = f'"{tenant.schema if tenant else "platform"}".audit_events'
    with psycopg.connect(driver_url(settings.owner_url.get_secret_value()), autocommit=True) as owner:
        owner.execute(f"ALTER TABLE {table} ADD CONSTRAINT none CHECK (false) NOT VALID")
        try:
            yield
        finally:
            owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT none")
