"""Builders: what tests need before they can begin, made as the product makes it."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from leasehold.config import Settings
from leasehold.core.actor import Actor
from leasehold.core.database import PlatformSession, platform_session
from leasehold.core.principal import Principal
from leasehold.main import build_process, closing
from leasehold.platform.admins.service import AdminService
from leasehold.platform.lifecycle.service import LifecycleService
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.platform.tokens.service import AdminTokenService
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.clients.schemas import NewApiClient
from leasehold.workspace.clients.service import ApiClientService
from leasehold.workspace.items.schemas import Item, ItemCreate
from leasehold.workspace.items.service import ItemService
from leasehold.workspace.keys.schemas import ApiKeyCreate, NewApiKey
from leasehold.workspace.keys.service import ApiKeyService
from leasehold.workspace.scopes import ALL_SCOPES

OPERATOR = Actor.operator("tests")


def lifecycle(session: PlatformSession) -> LifecycleService:
    """Return the service that moves tenants from state to state."""
    return LifecycleService(session, grace=timedelta(days=30))


def new_slug() -> str:
    """Return a slug that no other test has."""
    return f"t-{secrets.token_hex(6)}"


@asynccontextmanager
async def parts_of(settings: Settings) -> AsyncGenerator[Process]:
    """Yield the parts of a process that is not started, and close what they have opened by the end of the block."""
    process = build_process(settings)
    async with closing(process):
        yield process


async def provisioned(process: Process, slug: str | None = None) -> TenantRef:
    """Provision a tenant and wait until the directory of the process knows it."""
    tenant = await process.provisioner.provision(slug=slug or new_slug(), name="A tenant", by=OPERATOR)
    await process.feed.caught_up()
    found = process.directory.by_id(tenant.id)
    assert found is not None
    return found


async def api_client(process: Process, tenant: TenantRef, *scopes: str) -> NewApiClient:
    """Make an API client of a tenant; with all scopes if none is named."""
    async with open_tenant_session(process.database, tenant) as session:
        pepper = await read_pepper(session, process.key, tenant)
        return await ApiClientService(session=session).issue(
            tenant=tenant, name="test", scopes=scopes or tuple(ALL_SCOPES), pepper=pepper, by=OPERATOR
        )


async def bearer(process: Process, tenant: TenantRef, *scopes: str) -> dict[str, str]:
    """Return the headers of a fresh API client of a tenant; with all scopes if none is named."""
    client = await api_client(process, tenant, *scopes)
    token = process.tokens.issue(
        kind="client", subject=client.client_id, tenant_id=tenant.id, scopes=frozenset(client.scopes)
    )
    return {"Authorization": f"Bearer {token}"}


def principal(tenant: TenantRef, subject: UUID, *scopes: str) -> Principal:
    """Return a client of a tenant as a gate would find it, without a row behind it."""
    return Principal("client", subject, frozenset(scopes), tenant.id, expires_at=2**31)


async def api_key(process: Process, tenant: TenantRef, *scopes: str, days: float = 1, **owner: UUID) -> NewApiKey:
    """Make an API key of a tenant, of a fresh client unless `client` or `user` is given; with all scopes if none is."""
    kind, subject = next(iter(owner.items()), ("client", None))
    subject = subject or (await api_client(process, tenant)).client_id
    by = Actor(kind, subject)  # type: ignore[arg-type]
    data = ApiKeyCreate("test", list(scopes or ALL_SCOPES), in_days(days))
    async with open_tenant_session(process.database, tenant) as session:
        pepper = await read_pepper(session, process.key, tenant)
        return await ApiKeyService(session=session).issue(data, pepper=pepper, by=by)


def in_days(days: float) -> datetime:
    """Return the moment so many days from now."""
    return datetime.now(UTC) + timedelta(days=days)


async def admin(process: Process, *scopes: str, name: str | None = None) -> dict[str, str]:
    """Return the headers of a fresh token of a platform admin, new without a name; with all scopes if none is named."""
    return await admin_token(process, scopes or tuple(PLATFORM_SCOPES), name=name)


async def admin_token(process: Process, scopes: Sequence[str], *, name: str | None = None) -> dict[str, str]:
    """Return the headers of a fresh token with these scopes alone, of an admin who has all."""
    async with platform_session(process.database) as session:
        admins = AdminService(session, process.key)
        found = await admins.by_name(name) if name else None
        found = found or await admins.create(name or new_slug(), scopes=sorted(PLATFORM_SCOPES), by=OPERATOR)
        made = await AdminTokenService(session, process.key).issue(
            found, scopes=scopes, lifetime=timedelta(hours=1), by=OPERATOR
        )
    return {"Authorization": f"Bearer {made.token}"}


async def item(process: Process, tenant: TenantRef, title: str = "Desk") -> Item:
    """Make an item of a tenant."""
    async with open_tenant_session(process.database, tenant) as session:
        return await ItemService(session=session).add(ItemCreate(title))


async def until(condition: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
    """Wait for a condition; the test fails when it has not come true in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
