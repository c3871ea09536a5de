"""Users of a tenant and their mail: what tests of log-ins need before they can begin."""

import email
import re
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from leasehold.core.database import driver_url
from leasehold.core.ids import new_id
from leasehold.mail.folder import FolderMailer
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.worker.calling import Caller
from leasehold.worker.features import JOBS
from leasehold.workspace.scopes import Role
from leasehold.workspace.settings.schemas import Registration, SettingsPatch
from leasehold.workspace.settings.service import SettingsService
from leasehold.workspace.users.schemas import User
from leasehold.workspace.users.service import UserService
from tests.api.problems import on
from tests.factories import OPERATOR
from tests.pooler import direct

PASSWORD = "correct horse battery"
SAM = "sam@acme.example"


async def user(process: Process, tenant: TenantRef, address: str = SAM, role: Role = "member") -> User:
    """Make a user of a tenant who knows the password."""
    password_hash = await process.passwords.hash(PASSWORD)
    async with open_tenant_session(process.database, tenant) as session:
        return await UserService(session=session).add(
            email=address, name="Sam Doe", role=role, password_hash=password_hash, by=OPERATOR
        )


async def set_registration(process: Process, tenant: TenantRef, registration: Registration) -> None:
    """Decide who may sign up in a tenant."""
    async with open_tenant_session(process.database, tenant) as session:
        await SettingsService(session).change(SettingsPatch(registration=registration), by=OPERATOR)


async def post(http: httpx.AsyncClient, tenant: TenantRef, path: str, body: Any, **headers: str) -> httpx.Response:
    """Send a body to `/v1/auth/...` of a tenant."""
    return await http.post(on(tenant.slug, f"/v1/auth/{path}"), json=body, headers=headers)


async def login(
    http: httpx.AsyncClient, tenant: TenantRef, address: str = SAM, password: str = PASSWORD, **more: str
) -> httpx.Response:
    """Try to log in."""
    return await post(http, tenant, "login", {"email": address, "password": password, **more})


async def logged_in(
    http: httpx.AsyncClient, tenant: TenantRef, address: str = SAM, *, password: str = PASSWORD
) -> dict[str, Any]:
    """Log in, and return the tokens."""
    answer = await login(http, tenant, address, password)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def headers_of(tokens: dict[str, Any]) -> dict[str, str]:
    """Return the headers that carry an access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


class Mailbox:
    """Does the jobs that a tenant has asked for, and keeps the mails that come of them."""

    def __init__(self, process: Process, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._caller = Caller(process, JOBS, FolderMailer(folder, sender="Leasehold <noreply@leasehold.test>"))

    async def deliver(self, tenant: TenantRef) -> list[EmailMessage]:
        """Do what the tenant has asked for since the last time, and return the mails."""
        connection: Any = await asyncpg.connect(driver_url(direct(self._process.settings)))
        try:
            rows = await connection.fetch(
                "DELETE FROM platform.jobs WHERE tenant_id = $1 RETURNING id, lane, name, arguments", tenant.id
            )
        finally:
            await connection.close()
        for row in sorted(rows, key=lambda row: row["id"]):
            await self._caller.call(
                ClaimedJob(
                    id=row["id"],
                    worker_id=new_id(),
                    tenant_id=tenant.id,
                    lane=row["lane"],
                    name=row["name"],
                    arguments=row["arguments"].encode(),
                    attempt=1,
                    max_attempts=10,
                    times_put_off=0,
                    traceparent=None,
                    waited_s=0.0,
                )
            )
        files = sorted(self._folder.glob("*.eml"))
        mails = [email.message_from_bytes(file.read_bytes(), policy=default) for file in files]
        for file in files:
            file.unlink()
        return mails


def secret_in(mail: EmailMessage) -> str:
    """Return the secret in the one link of a mail."""
    (found,) = re.findall(r"https?://\S+#(\S+)", mail.get_content())
    return str(found)
