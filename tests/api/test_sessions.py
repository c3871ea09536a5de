"""Sessions of users: begun by a log-in, continued by refresh tokens that each work once, ended in every process."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import on, refusal_of
from tests.factories import bearer, until
from tests.people import SAM, headers_of, logged_in, login, post, user


@pytest.fixture
async def sam(process: Process, acme: TenantRef, globex: TenantRef) -> None:
    """A user of the same address in both tenants."""
    for tenant in (acme, globex):
        await user(process, tenant)


async def refresh(http: httpx.AsyncClient, tenant: TenantRef, token: str) -> httpx.Response:
    return await post(http, tenant, "refresh", {"refresh_token": token})


async def age_tokens(process: Process, tenant: TenantRef, seconds: int) -> None:
    """Let every replaced token of a tenant have been replaced so long ago."""
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(
            text("UPDATE refresh_tokens SET replaced_at = replaced_at - make_interval(secs => :s)"), {"s": seconds}
        )


async def works(http: httpx.AsyncClient, tokens: dict[str, Any]) -> bool:
    answer = await http.get("/v1/me", headers=headers_of(tokens))
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def test_a_login_gives_tokens_and_each_refresh_gives_fresh_ones(
    http: httpx.AsyncClient, sam: None, acme: TenantRef, globex: TenantRef
) -> None:
    first = await logged_in(http, acme)
    assert set(first) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    answer = await refresh(http, acme, first["refresh_token"])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"] == "items:read items:write tenant:read users:read"
    assert await works(http, first)
    assert await works(http, second)
    assert refusal_of(await http.get(on(globex.slug, "/v1/me"), headers=headers_of(second))) == (403, "tenant-mismatch")


async def test_a_refresh_token_is_good_for_its_tenant_alone(
    http: httpx.AsyncClient, sam: None, acme: TenantRef, globex: TenantRef
) -> None:
    ours = await logged_in(http, acme)
    assert refusal_of(await refresh(http, globex, ours["refresh_token"])) == (401, "invalid-refresh-token")
    assert (await refresh(http, acme, ours["refresh_token"])).status_code == 200


async def test_a_client_that_lost_the_answer_gets_the_same_token_within_the_grace(
    http: httpx.AsyncClient, sam: None, acme: TenantRef
) -> None:
    tokens = await logged_in(http, acme)
    answers = [(await refresh(http, acme, tokens["refresh_token"])).json() for _ in range(3)]
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert (await refresh(http, acme, answers[0]["refresh_token"])).status_code == 200


async def test_a_burst_of_one_refresh_token_gives_one_successor(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    tokens = await logged_in(http, acme)
    answers = await asyncio.gather(*(refresh(http, acme, tokens["refresh_token"]) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    async with open_tenant_session(process.database, acme) as session:
        assert await session.scalar(text("SELECT count(*) FROM refresh_tokens")) == 2


async def test_an_old_token_past_the_grace_ends_the_session_and_that_stays(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef, globex: TenantRef
) -> None:
    first, other = await logged_in(http, acme), await logged_in(http, acme)
    theirs = await logged_in(http, globex)
    second = (await refresh(http, acme, first["refresh_token"])).json()
    assert await works(http, second)
    await age_tokens(process, acme, 11)
    replayed = await refresh(http, acme, first["refresh_token"])
    assert refusal_of(replayed) == (401, "invalid-refresh-token")
    async with open_tenant_session(process.database, acme) as session:
        ended = (await session.execute(text("SELECT end_reason FROM user_sessions WHERE ended_at IS NOT NULL"))).all()
    assert [tuple(row) for row in ended] == [("replayed",)]
    await process.feed.caught_up()
    assert not await works(http, second)
    assert not await works(http, first)
    assert refusal_of(await refresh(http, acme, second["refresh_token"])) == (401, "invalid-refresh-token")
    assert await works(http, other)
    assert await works(http, theirs)


async def test_a_grandparent_within_the_grace_is_a_replay(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    first = await logged_in(http, acme)
    second = (await refresh(http, acme, first["refresh_token"])).json()
    third = (await refresh(http, acme, second["refresh_token"])).json()
    assert refusal_of(await refresh(http, acme, first["refresh_token"])) == (401, "invalid-refresh-token")
    assert refusal_of(await refresh(http, acme, third["refresh_token"])) == (401, "invalid-refresh-token")


async def test_every_one_of_a_burst_of_replays_is_refused(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    first = await logged_in(http, acme)
    second = (await refresh(http, acme, first["refresh_token"])).json()
    await age_tokens(process, acme, 11)
    answers = await asyncio.gather(*(refresh(http, acme, first["refresh_token"]) for _ in range(10)))
    assert {refusal_of(answer) for answer in answers} == {(401, "invalid-refresh-token")}
    assert refusal_of(await refresh(http, acme, second["refresh_token"])) == (401, "invalid-refresh-token")


async def test_a_log_out_ends_that_session_alone(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    one, other = await logged_in(http, acme), await logged_in(http, acme)
    assert await works(http, one)
    assert (await http.post("/v1/auth/logout", headers=headers_of(one))).status_code == 204
    await process.feed.caught_up()
    assert not await works(http, one)
    assert refusal_of(await refresh(http, acme, one["refresh_token"])) == (401, "invalid-refresh-token")
    assert await works(http, other)


async def test_a_log_out_everywhere_ends_all_sessions_of_that_user_alone(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef, globex: TenantRef
) -> None:
    await user(process, acme, "eve@acme.example")
    mine = [await logged_in(http, acme) for _ in range(3)]
    hers, theirs = await logged_in(http, acme, "eve@acme.example"), await logged_in(http, globex)
    assert (await http.post("/v1/auth/logout-all", headers=headers_of(mine[0]))).status_code == 204
    await process.feed.caught_up()
    assert [await works(http, tokens) for tokens in mine] == [False] * 3
    assert await works(http, hers)
    assert await works(http, theirs)


async def test_sessions_are_listed_and_ended_one_by_one(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    await user(process, acme, "eve@acme.example")
    one, other, hers = (
        await logged_in(http, acme),
        await logged_in(http, acme),
        await logged_in(http, acme, "eve@acme.example"),
    )
    listed = (await http.get("/v1/me/sessions", headers=headers_of(one))).json()["items"]
    assert len(listed) == 2
    assert set(listed[0]) == {"id", "continued_at", "expires_at", "created_at"}
    foreign = (await http.get("/v1/me/sessions", headers=headers_of(hers))).json()["items"][0]["id"]
    refused = await http.delete(f"/v1/me/sessions/{foreign}", headers=headers_of(one))
    assert refusal_of(refused) == (404, "not-found")
    latest = listed[0]["id"]
    assert (await http.delete(f"/v1/me/sessions/{latest}", headers=headers_of(one))).status_code == 204
    await process.feed.caught_up()
    assert not await works(http, other)
    assert await works(http, one)
    assert len((await http.get("/v1/me/sessions", headers=headers_of(one))).json()["items"]) == 1


@pytest.mark.parametrize(
    "change", ["is_active = false", "role = 'member', email = 'x@acme.example', is_active = false"]
)
async def test_a_disabled_user_continues_no_session(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef, change: str
) -> None:
    tokens = await logged_in(http, acme)
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text(f"UPDATE users SET {change}"))
    assert refusal_of(await refresh(http, acme, tokens["refresh_token"])) == (401, "invalid-refresh-token")


@pytest.mark.parametrize("table", ["user_sessions", "refresh_tokens"])
async def test_an_expired_session_or_token_continues_nothing(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef, table: str
) -> None:
    tokens = await logged_in(http, acme)
    async with open_tenant_session(process.database, acme) as session:
        await session.execute(text(f"UPDATE {table} SET expires_at = now() - interval '1 second'"))
    assert refusal_of(await refresh(http, acme, tokens["refresh_token"])) == (401, "invalid-refresh-token")


async def test_a_role_that_became_less_is_obeyed(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    admin = await user(process, acme, role="admin")
    await user(process, acme, "owner@acme.example", role="owner")
    tokens = await logged_in(http, acme)
    assert "clients:write" in tokens["scope"].split()
    assert await works(http, tokens)
    patched = await http.patch(f"/v1/users/{admin.id}", headers=await bearer(process, acme), json={"role": "member"})
    assert patched.status_code == 200
    await process.feed.caught_up()
    assert not await works(http, tokens)
    renewed = (await refresh(http, acme, tokens["refresh_token"])).json()
    assert renewed["scope"] == "items:read items:write tenant:read users:read"


@pytest.mark.parametrize("token", ["", "x", "lh_refresh_x", "\x00", "é", "lh_client_" + "0" * 60, "x" * 200])
async def test_any_text_as_a_refresh_token_is_refused(http: httpx.AsyncClient, acme: TenantRef, token: str) -> None:
    assert (await refresh(http, acme, token)).status_code in {401, 422}


async def test_a_client_has_no_session_to_end(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    headers = await bearer(process, acme)
    for path in ("/v1/auth/logout", "/v1/auth/logout-all"):
        assert refusal_of(await http.post(path, headers=headers)) == (403, "users-only")


async def test_a_session_is_refused_in_another_process(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    """The other process is this one's memory: it is told by the feed alone, as any process is."""
    tokens = await logged_in(http, acme)
    assert await works(http, tokens)
    principal = process.tokens.verify(tokens["access_token"])
    assert process.subjects.knows(acme.id, principal)
    assert (await http.post("/v1/auth/logout", headers=headers_of(tokens))).status_code == 204
    # A second where nothing else wants the processor.
    await until(lambda: not process.subjects.knows(acme.id, principal), timeout_s=30)


async def test_a_burst_of_logins_and_logouts_leaves_no_session_behind(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    async def come_and_go() -> None:
        answer = await login(http, acme, SAM)
        if answer.status_code == 200:
            await http.post("/v1/auth/logout", headers=headers_of(answer.json()))

    await asyncio.gather(*(come_and_go() for _ in range(4)))
    async with open_tenant_session(process.database, acme) as session:
        assert await session.scalar(text("SELECT count(*) FROM user_sessions WHERE ended_at IS NULL")) == 0
