"""Admins who log in: what tests of the platform's log-ins need before they can begin."""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from leasehold.core.database import platform_session
from leasehold.http.request_log import RequestLog
from leasehold.platform.admins.service import AdminService
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.scopes import IMPERSONATION_SCOPES
from tests.factories import OPERATOR, new_slug
from tests.people import PASSWORD, headers_of

AUTH, ME, ADMINS = "/platform/v1/auth", "/platform/v1/me", "/platform/v1/admins"


@dataclass(frozen=True)
class Known:
    """An admin who has chosen `PASSWORD`."""

    id: UUID
    name: str


async def known_admin(http: httpx.AsyncClient, process: Process, *, scopes: Sequence[str] | None = None) -> Known:
    """Make an admin with a password; with all scopes if none are named."""
    wanted = sorted(PLATFORM_SCOPES) if scopes is None else scopes
    async with platform_session(process.database) as session:
        admins = AdminService(session, process.key)
        made = await admins.create(new_slug(), scopes=wanted, by=OPERATOR)
        setup = await admins.setup(made.id, by=OPERATOR)
    body = {"setup_secret": setup.setup_secret, "password": PASSWORD}
    answer = await http.post(f"{AUTH}/password", json=body)
    assert answer.status_code == 204, answer.text
    return Known(made.id, made.name)


async def admin_login(http: httpx.AsyncClient, name: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    """Try to log in as an admin."""
    return await http.post(f"{AUTH}/login", json={"name": name, "password": password, **more})


async def admin_headers(http: httpx.AsyncClient, known: Known, **more: Any) -> dict[str, str]:
    """Log in as an admin, and return the headers of the log-in."""
    answer = await admin_login(http, known.name, **more)
    assert answer.status_code == 200, answer.text
    return headers_of(answer.json())


async def logged_in_admin(
    http: httpx.AsyncClient, process: Process, *, scopes: Sequence[str] | None = None
) -> dict[str, str]:
    """Return the headers of a fresh admin who has logged in; with all scopes if none are named."""
    return await admin_headers(http, await known_admin(http, process, scopes=scopes))


@dataclass(frozen=True)
class Impersonated:
    """An admin who acts in a tenant."""

    id: str
    address: str
    """Where the impersonations of the tenant are."""
    admin: dict[str, str]
    """The headers of the admin's own log-in."""
    headers: dict[str, str]
    """The headers of the impersonation."""


async def impersonated(
    http: httpx.AsyncClient, process: Process, tenant: TenantRef, *scopes: str, admin: dict[str, str] | None = None
) -> Impersonated:
    """Let an admin act in a tenant; a new one unless one is given, with all scopes that there are unless some are."""
    admin = admin or await logged_in_admin(http, process)
    address = f"/platform/v1/tenants/{tenant.id}/impersonations"
    body = {"scopes": sorted(scopes or IMPERSONATION_SCOPES), "reason": "Ticket 4711"}
    answer = await http.post(address, headers=admin, json=body)
    assert answer.status_code == 201, answer.text
    return Impersonated(answer.json()["id"], address, admin, headers_of(answer.json()))


@asynccontextmanager
async def from_elsewhere(app: RequestLog, base_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """Lend a client with an address of its own, whose failures are nobody else's."""
    address = f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
        yield client
