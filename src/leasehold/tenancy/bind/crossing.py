"""What crosses planes: rows of the platform and rows of one tenant, in one transaction."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from leasehold.core.database import PlatformSession
from leasehold.tenancy.bind.session import BindableConnection, driver_of
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.names import quoted

_PLATFORM_PATH = "pg_catalog, pg_temp"


@asynccontextmanager
async def inside_tenant(session: PlatformSession, tenant: TenantRef) -> AsyncGenerator[None]:
    """Let a platform's session act in a tenant's schema and as its role while this lasts.

    What it did on the platform is sent before. An error leaves it in the tenant: the transaction is lost then anyway.
    """
    await session.flush()
    driver = await session.run_sync(note_visit, tenant.id)
    role = tenant.role if session.has_tenant_roles else "none"
    await _enter(session, path=f"{quoted(tenant.schema)}, pg_temp", role=role)
    driver.tenant = tenant
    yield
    await session.flush()
    driver.tenant = None
    await _enter(session, path=_PLATFORM_PATH, role="none")


def note_visit(session: Session, tenant_id: UUID) -> BindableConnection:
    """Note that the connection of a session has touched a tenant's tables, which it remembers, and return it.

    It takes the synchronous half of a session: each call into that costs as much as a small query.
    """
    driver = driver_of(session.connection())
    driver.tenants.add(tenant_id)
    return driver


async def _enter(session: PlatformSession, *, path: str, role: str) -> None:
    """Set path and role to the end of the transaction, as SET LOCAL does, in one round trip."""
    await session.execute(select(func.set_config("search_path", path, True), func.set_config("role", role, True)))
