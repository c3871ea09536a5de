"""When an API client was last used: noted in the process, handed to a job, written in the tenant's schema."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from leasehold.core.database import DriverConnection, platform_session
from leasehold.core.errors import DatabaseUnavailable
from leasehold.http.request_log import RequestLog
from leasehold.main import build_process
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.enqueue import enqueue_for
from leasehold.workspace.clients.jobs import ClientUse, note_use
from leasehold.workspace.clients.uses import ClientUses
from tests.api.problems import on
from tests.factories import api_client
from tests.integration.worker.crew import all_done, at_work

_MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def _row(owner: DriverConnection, tenant: TenantRef, client_id: UUID) -> Any:
    return await owner.fetchrow(f'SELECT * FROM "{tenant.schema}".api_clients WHERE id = $1', client_id)


async def _note(process: Process, owner: DriverConnection, tenant: TenantRef, uses: dict[UUID, datetime]) -> None:
    async with platform_session(process.database) as session:
        await enqueue_for(session, tenant.id, note_use, ClientUse(uses))
    async with at_work(process, note_use):
        await all_done(owner)
    assert await owner.fetchval("SELECT count(*) FROM platform.jobs") == 0


async def test_a_use_is_written_when_it_was_handed_over(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    used = [await api_client(process, tenant) for tenant in (acme, globex)]
    unused = await api_client(process, acme)
    uses = ClientUses()
    began = datetime.now(UTC)
    uses.note(acme.id, used[0].client_id)
    uses.note(globex.id, used[1].client_id)
    await uses.flush(process.database)
    async with at_work(process, note_use):
        await all_done(owner)
    for tenant, client in zip((acme, globex), used, strict=True):
        assert began <= (await _row(owner, tenant, client.client_id))["last_used_at"] <= datetime.now(UTC)
    assert (await _row(owner, acme, unused.client_id))["last_used_at"] is None


async def test_what_was_handed_over_is_not_handed_over_again(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    uses = ClientUses()
    uses.note(acme.id, acme.id)
    await uses.flush(process.database)
    await uses.flush(process.database)
    assert await owner.fetchval("SELECT count(*) FROM platform.jobs") == 1


async def test_an_older_time_changes_nothing_and_a_newer_one_does(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    client_id = (await api_client(process, acme)).client_id
    for used_at, expected in (
        (_MOMENT, _MOMENT),
        (_MOMENT - timedelta(hours=1), _MOMENT),
        (_MOMENT + timedelta(hours=1), _MOMENT + timedelta(hours=1)),
    ):
        await _note(process, owner, acme, {client_id: used_at})
        assert (await _row(owner, acme, client_id))["last_used_at"] == expected


async def test_being_used_changes_nothing_else_about_a_client(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    client_id = (await api_client(process, acme)).client_id
    before = dict(await _row(owner, acme, client_id))
    await _note(process, owner, acme, {client_id: _MOMENT})
    assert dict(await _row(owner, acme, client_id)) == before | {"last_used_at": _MOMENT}


async def test_clients_of_another_tenant_and_deleted_ones_are_left_alone(
    process: Process, acme: TenantRef, globex: TenantRef, owner: DriverConnection
) -> None:
    theirs = (await api_client(process, globex)).client_id
    await _note(process, owner, acme, {theirs: _MOMENT, acme.id: _MOMENT})
    assert (await _row(owner, globex, theirs))["last_used_at"] is None


async def test_what_cannot_be_handed_over_is_kept_and_a_later_use_wins(
    process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    client_id, other_id = [(await api_client(process, acme)).client_id for _ in range(2)]
    nowhere = process.settings.model_copy(
        update={"database_url": type(process.settings.database_url)("postgresql://x@127.0.0.1:1/x")}
    )
    away = build_process(nowhere)
    uses = ClientUses()
    uses.note(acme.id, client_id)
    uses.note(acme.id, other_id)
    with pytest.raises(DatabaseUnavailable):
        await uses.flush(away.database)
    away.passwords.close()
    later = datetime.now(UTC)
    uses.note(acme.id, client_id)
    await uses.flush(process.database)
    async with at_work(process, note_use):
        await all_done(owner)
    assert (await _row(owner, acme, client_id))["last_used_at"] >= later
    assert (await _row(owner, acme, other_id))["last_used_at"] < later


async def test_a_client_that_gets_a_token_was_used_and_one_that_is_refused_was_not(
    app: RequestLog, http: httpx.AsyncClient, process: Process, acme: TenantRef, owner: DriverConnection
) -> None:
    server: Process = app.app.state.process
    await server.feed.caught_up()
    clients = [await api_client(process, acme) for _ in range(2)]
    for client, secret, status in ((clients[0], clients[0].client_secret, 200), (clients[1], "wrong", 401)):
        form = {"grant_type": "client_credentials", "client_id": str(client.client_id), "client_secret": secret}
        answer = await http.post(on(acme.slug, "/oauth/token"), data=form)
        assert answer.status_code == status
    await server.client_uses.flush(server.database)
    async with at_work(process, note_use):
        await all_done(owner)
    assert (await _row(owner, acme, clients[0].client_id))["last_used_at"] is not None
    assert (await _row(owner, acme, clients[1].client_id))["last_used_at"] is None
