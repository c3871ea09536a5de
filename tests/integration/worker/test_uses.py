"""When a credential was last used: noted in the process, handed to a job, written in the tenant's schema."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from leasehold.core.database import DriverConnection, platform_session
from leasehold.core.errors import DatabaseUnavailable
from leasehold.http.request_log import RequestLog
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import Job
from leasehold.tenancy.jobs.enqueue import enqueue_for
from leasehold.workspace.clients.jobs import note_use as note_use_of_client
from leasehold.workspace.keys.jobs import note_use as note_use_of_key
from leasehold.workspace.uses import LastUses, Uses
from tests.api.problems import on
from tests.factories import api_client, api_key, parts_of, until
from tests.integration.worker.crew import all_done, at_work
from tests.queued import empty_queue

_MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of credential: its table, the job that writes down its uses, and how one is made."""

    table: str
    job: Job[LastUses]
    make: Callable[[Process, TenantRef], Awaitable[UUID]]

    async def row(self, owner: DriverConnection, tenant: TenantRef, credential_id: UUID) -> Any:
        return await owner.fetchrow(f'SELECT * FROM "{tenant.schema}".{self.table} WHERE id = $1', credential_id)

    async def note(
        self, process: Process, owner: DriverConnection, tenant: TenantRef, uses: dict[UUID, datetime]
    ) -> None:
        async with platform_session(process.database) as session:
            await enqueue_for(session, tenant.id, self.job, LastUses(uses))
        await self.work(process, owner)
        assert await owner.fetchval("SELECT count(*) FROM platform.jobs") == 0

    async def work(self, process: Process, owner: DriverConnection) -> None:
        async with at_work(process, self.job):
            await all_done(owner)


async def _client_id(process: Process, tenant: TenantRef) -> UUID:
    return (await api_client(process, tenant)).client_id


async def _key_id(process: Process, tenant: TenantRef) -> UUID:
    return (await api_key(process, tenant)).id


CLIENTS = Kind("api_clients", note_use_of_client, _client_id)
KEYS = Kind("api_keys", note_use_of_key, _key_id)
both = pytest.mark.parametrize("kind", [CLIENTS, KEYS], ids=["clients", "keys"])


@both
async def test_a_use_is_written_when_it_was_handed_over(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection, kind: Kind
) -> None:
    used = [await kind.make(process, tenant) for tenant in (acme, globex)]
    unused = await kind.make(process, acme)
    uses = Uses(kind.job)
    began = datetime.now(UTC)
    uses.note(acme.id, used[0])
    uses.note(globex.id, used[1])
    await uses.flush(process.database)
    await kind.work(process, owner)
    for tenant, credential_id in zip((acme, globex), used, strict=True):
        assert began <= (await kind.row(owner, tenant, credential_id))["last_used_at"] <= datetime.now(UTC)
    assert (await kind.row(owner, acme, unused))["last_used_at"] is None


async def test_what_was_handed_over_is_not_handed_over_again(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    uses = Uses(note_use_of_key)
    uses.note(acme.id, acme.id)
    await uses.flush(process.database)
    await uses.flush(process.database)
    assert await owner.fetchval("SELECT count(*) FROM platform.jobs") == 1


@both
async def test_a_use_is_written_at_most_once_a_minute_and_an_older_one_never(
    process: Process, acme: TenantRef, owner: DriverConnection, kind: Kind
) -> None:
    credential_id = await kind.make(process, acme)
    later = _MOMENT + timedelta(minutes=1)
    for used_at, expected in (
        (_MOMENT, _MOMENT),
        (_MOMENT - timedelta(hours=1), _MOMENT),
        (_MOMENT + timedelta(seconds=59), _MOMENT),
        (later, later),
    ):
        await kind.note(process, owner, acme, {credential_id: used_at})
        assert (await kind.row(owner, acme, credential_id))["last_used_at"] == expected


@both
async def test_being_used_changes_nothing_else_about_a_credential(
    process: Process, acme: TenantRef, owner: DriverConnection, kind: Kind
) -> None:
    credential_id = await kind.make(process, acme)
    before = dict(await kind.row(owner, acme, credential_id))
    await kind.note(process, owner, acme, {credential_id: _MOMENT})
    assert dict(await kind.row(owner, acme, credential_id)) == before | {"last_used_at": _MOMENT}


@both
async def test_credentials_of_another_tenant_and_deleted_ones_are_left_alone(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection, kind: Kind
) -> None:
    theirs = await kind.make(process, globex)
    await kind.note(process, owner, acme, {theirs: _MOMENT, acme.id: _MOMENT})
    assert (await kind.row(owner, globex, theirs))["last_used_at"] is None


@both
async def test_what_cannot_be_handed_over_is_kept_and_a_later_use_wins(
    process: Process, acme: TenantRef, owner: DriverConnection, kind: Kind
) -> None:
    credential_id, other_id = [await kind.make(process, acme) for _ in range(2)]
    nowhere = process.settings.model_copy(
        update={"database_url": type(process.settings.database_url)("postgresql://x@127.0.0.1:1/x")}
    )
    uses = Uses(kind.job)
    uses.note(acme.id, credential_id)
    uses.note(acme.id, other_id)
    async with parts_of(nowhere) as away:
        with pytest.raises(DatabaseUnavailable):
            await uses.flush(away.database)
    later = datetime.now(UTC)
    uses.note(acme.id, credential_id)
    await uses.flush(process.database)
    await kind.work(process, owner)
    assert (await kind.row(owner, acme, credential_id))["last_used_at"] >= later
    assert (await kind.row(owner, acme, other_id))["last_used_at"] < later


async def test_a_client_that_gets_a_token_was_used_and_one_that_is_refused_was_not(
    app: RequestLog, http: httpx.AsyncClient, process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    server: Process = app.app.state.process
    await until(lambda: server.directory.by_id(acme.id) is not None, timeout_s=30)
    await server.client_uses.flush(server.database)  # of all clients that other tests have used
    await empty_queue(owner)
    clients = [await api_client(process, acme) for _ in range(2)]
    for client, secret, status in ((clients[0], clients[0].client_secret, 200), (clients[1], "wrong", 401)):
        form = {"grant_type": "client_credentials", "client_id": str(client.client_id), "client_secret": secret}
        answer = await http.post(on(acme.slug, "/oauth/token"), data=form)
        assert answer.status_code == status
    await server.client_uses.flush(server.database)
    await CLIENTS.work(process, owner)
    assert (await CLIENTS.row(owner, acme, clients[0].client_id))["last_used_at"] is not None
    assert (await CLIENTS.row(owner, acme, clients[1].client_id))["last_used_at"] is None


async def test_a_key_that_opened_something_was_used_and_an_expired_one_was_not(
    app: RequestLog, http: httpx.AsyncClient, process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    server: Process = app.app.state.process
    await until(lambda: server.directory.by_id(acme.id) is not None, timeout_s=30)
    await server.key_uses.flush(server.database)  # of all keys that other tests have used
    await empty_queue(owner)
    keys = [await api_key(process, acme) for _ in range(2)]
    past = f"UPDATE \"{acme.schema}\".api_keys SET expires_at = now() - interval '1 second' WHERE id = $1"
    await owner.execute(past, keys[1].id)
    for key, status in ((keys[0], 200), (keys[0], 200), (keys[1], 401)):
        answer = await http.get("/v1/me", headers={"Authorization": f"Bearer {key.key}"})
        assert answer.status_code == status
    await server.key_uses.flush(server.database)
    assert await owner.fetchval("SELECT count(*) FROM platform.jobs WHERE tenant_id = $1", acme.id) == 1
    await KEYS.work(process, owner)
    assert (await KEYS.row(owner, acme, keys[0].id))["last_used_at"] is not None
    assert (await KEYS.row(owner, acme, keys[1].id))["last_used_at"] is None
