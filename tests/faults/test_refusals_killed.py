"""A server is killed over a refusal: what the refusal had to leave behind is there, or the next one leaves it."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.admins import admin_headers, known_admin
from tests.api.problems import refusal_of
from tests.api.test_admin_totp import set_up as add_totp
from tests.api.test_second_factor import set_up
from tests.api.test_sessions import age_tokens
from tests.audit import events_of
from tests.faults.dying import die_in
from tests.people import PASSWORD, SAM, logged_in, login, post, user
from tests.postgres_proxy import Hold


async def one(process: Process, tenant: TenantRef, query: str) -> Any:
    async with open_tenant_session(process.database, tenant) as session:
        return await session.scalar(text(query))


async def die_over(settings: Settings, tenant: TenantRef, hold: Hold, path: str, body: dict[str, Any]) -> None:
    await die_in(settings, hold, f"/v1/auth/{path}", {"X-Tenant": tenant.slug}, body)


async def test_a_guess_is_counted_though_the_server_dies_before_it_has_looked_at_it(
    http: httpx.AsyncClient, settings: Settings, process: Process, acme: TenantRef
) -> None:
    await user(process, acme)
    for _ in range(5):
        hold = Hold("INSERT INTO attempts", delivers=True)
        await die_over(settings, acme, hold, "login", {"email": SAM, "password": "wrong horse battery"})
    assert await one(process, acme, "SELECT max(failures) FROM attempts") == 5
    await one(process, acme, "UPDATE attempts SET blocked_until_at = now() + interval '1 hour' RETURNING 1")
    assert refusal_of(await login(http, acme)) == (429, "too-many-attempts")


@pytest.mark.parametrize("password", ["wrong horse battery", PASSWORD], ids=["wrong password", "wrong code"])
async def test_the_event_of_a_refused_login_is_there_though_the_server_dies_before_its_answer(
    http: httpx.AsyncClient, settings: Settings, process: Process, acme: TenantRef, password: str
) -> None:
    sam = await user(process, acme)
    await set_up(http, acme)
    body = {"email": SAM, "password": password, "code": "000000"}
    await die_over(settings, acme, Hold("INSERT INTO audit_events", delivers=True), "login", body)
    (refused,) = events_of(settings, acme, action="login.refused")
    assert refused["target_id"] == sam.id
    assert refused["reason"] == ("wrong code" if password == PASSWORD else "wrong password")
    assert await one(process, acme, "SELECT max(failures) FROM attempts") == 1


@pytest.mark.parametrize("is_committed", [True, False], ids=["behind the COMMIT", "before the COMMIT"])
async def test_a_replayed_token_ends_its_session_though_the_server_dies_over_it(
    http: httpx.AsyncClient, settings: Settings, process: Process, acme: TenantRef, is_committed: bool
) -> None:
    await user(process, acme)
    first = {"refresh_token": (await logged_in(http, acme))["refresh_token"]}
    second = {"refresh_token": (await post(http, acme, "refresh", first)).json()["refresh_token"]}
    await age_tokens(process, acme, 11)
    await die_over(settings, acme, Hold("INSERT INTO audit_events", delivers=is_committed), "refresh", first)
    ended = await one(process, acme, "SELECT count(*) FROM user_sessions WHERE end_reason = 'replayed'")
    assert ended == len(events_of(settings, acme, action="refresh_token.replayed")) == int(is_committed)
    for token in (first, second):
        assert refusal_of(await post(http, acme, "refresh", token)) == (401, "invalid-refresh-token")
    assert await one(process, acme, "SELECT count(*) FROM user_sessions WHERE end_reason = 'replayed'") == 1
    assert len(events_of(settings, acme, action="refresh_token.replayed")) == 1


@pytest.mark.parametrize("password", ["wrong horse battery", PASSWORD], ids=["wrong password", "wrong code"])
async def test_so_is_the_event_of_an_admins_refused_login(
    http: httpx.AsyncClient, settings: Settings, process: Process, password: str
) -> None:
    known = await known_admin(http, process)
    await add_totp(http, await admin_headers(http, known))
    hold = Hold("INSERT INTO platform.audit_events", delivers=True)
    body = {"name": known.name, "password": password, "code": "000000"}
    await die_in(settings, hold, "/platform/v1/auth/login", {"Host": settings.base_domain}, body)
    (refused,) = [one for one in events_of(settings, None, action="login.refused") if one["target_id"] == known.id]
    assert refused["reason"] == ("wrong code" if password == PASSWORD else "wrong password")
