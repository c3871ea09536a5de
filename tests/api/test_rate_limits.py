"""Rate limits over HTTP: who is held to what, what clients are told, and whom a flood does not touch."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from leasehold.config import Settings
from leasehold.core.credentials import new_secret
from leasehold.main import create_app, running
from leasehold.platform.tokens.repository import AdminTokenRepository
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.keys.repository import ApiKeyReads
from tests.api.problems import FIELDS
from tests.factories import admin, api_key, bearer
from tests.people import login
from tests.valkey import valkey

Limited = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass
class Clock:
    """A clock that stands until a test moves it on."""

    ns: int = 10**18

    def move_on(self, seconds: int) -> None:
        self.ns += seconds * 10**9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which a process counts alone: quotas are told in seconds, and a request may take longer than one."""
    made = Clock()
    monkeypatch.setattr("leasehold.http.limits.time", SimpleNamespace(monotonic_ns=lambda: made.ns))
    return made


@pytest.fixture
def limited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Limited:
    """Starts the application with other limits, and returns a client of it."""
    # Where a store that is slow for once is taken to be away, the process lets as many in once more.
    monkeypatch.setattr("leasehold.main._QUOTA_TIMEOUT_S", 30.0)

    @asynccontextmanager
    async def start(*, address: str = "127.0.0.1", **limits: str) -> AsyncGenerator[httpx.AsyncClient]:
        off = {"rate_limit_client": "off", "rate_limit_tenant": "off", "rate_limit_address": "off"}
        app = create_app(Settings(**{**settings.model_dump(), **off, **limits}))
        async with running(app.app.state.process):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="https://leasehold.test") as client:
                yield client

    return start


@pytest.fixture
def where(store: str) -> Generator[str]:
    """The URL of a Valkey, if that is the store."""
    with valkey() if store == "valkey" else nullcontext() as running:
        yield running.url if running else "valkey://nobody.test"


async def statuses(http: httpx.AsyncClient, headers: dict[str, str], times: int, path: str = "/v1/me") -> list[int]:
    return [(await http.get(path, headers=headers)).status_code for _ in range(times)]


def told(answer: httpx.Response) -> tuple[str | None, str | None]:
    return answer.headers.get("ratelimit-policy"), answer.headers.get("ratelimit")


def carrying(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> Callable[[], int]:
    """Return what tells how often a method was called since."""
    method, calls = getattr(owner, name), list[None]()

    async def counted(*arguments: Any) -> Any:
        calls.append(None)
        return await method(*arguments)

    monkeypatch.setattr(owner, name, counted)
    return lambda: len(calls)


async def test_a_refusal_waits_behind_those_who_are_let_in(
    limited: Limited, process: Process, acme: TenantRef, globex: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy, quiet = await bearer(process, acme), await bearer(process, globex)
    async with limited(rate_limit_client="1/1h") as http:
        assert await statuses(http, noisy, 1) == [200]
        monkeypatch.setattr("leasehold.http.limits.REFUSED_AFTER_S", 60.0)
        flood = [asyncio.create_task(http.get("/v1/me", headers=noisy)) for _ in range(20)]
        await asyncio.sleep(0)
        assert await statuses(http, quiet, 1) == [200]
        assert not any(task.done() for task in flood)
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)


async def test_every_answer_tells_the_policies_and_what_is_left(
    limited: Limited, clock: Clock, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme, "items:read")
    async with limited(rate_limit_client="5/1m,100/1h", rate_limit_tenant="50/1h") as http:
        policy = '"client-1m";q=5;w=60, "client-1h";q=100;w=3600, "tenant-1h";q=50;w=3600'
        found = await http.get("/v1/items", headers=headers)
        assert (found.status_code, *told(found)) == (
            200,
            policy,
            '"client-1m";r=4;t=12, "client-1h";r=99;t=36, "tenant-1h";r=49;t=72',
        )
        answers = [
            await http.get("/v1/items/00000000-0000-7000-8000-000000000000", headers=headers),
            await http.get("/v1/items?limit=0", headers=headers),
            await http.post("/v1/items", headers=headers, json={"title": "Desk"}),
        ]
        assert [answer.status_code for answer in answers] == [404, 422, 403]
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=3", "r=2", "r=1"]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {policy}


async def test_who_sends_too_many_gets_429_and_is_told_when_to_come_back(
    limited: Limited, clock: Clock, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    async with limited(rate_limit_client="2/1h", rate_limit_tenant="100/1h") as http:
        assert await statuses(http, headers, 2) == [200, 200]
        refused = await http.get("/v1/me", headers=headers)
        document: dict[str, Any] = refused.json()
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"] == "1800"
        assert told(refused) == (
            '"client-1h";q=2;w=3600, "tenant-1h";q=100;w=3600',
            '"client-1h";r=0;t=1800, "tenant-1h";r=98;t=36',
        )
        assert set(document) == FIELDS | {"violated-policies"}
        assert (document["type"], document["title"]) == ("/docs/problems/quota-exceeded", "Quota exceeded")
        assert document["violated-policies"] == ["client-1h"]
        assert "1800 seconds" in document["detail"]


async def test_who_waits_as_long_as_told_is_served(
    limited: Limited, clock: Clock, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers = await bearer(process, acme)
    async with limited(rate_limit_client="1/1s") as http:
        assert (await http.get("/v1/me", headers=headers)).status_code == 200
        refused = await http.get("/v1/me", headers=headers)
        assert refused.headers["retry-after"] == "1"
        clock.move_on(int(refused.headers["retry-after"]))
        assert (await http.get("/v1/me", headers=headers)).status_code == 200


@pytest.mark.parametrize("store", ["process", "postgresql", "valkey"])
async def test_the_flood_of_one_tenant_does_not_touch_another(
    limited: Limited, process: Process, acme: TenantRef, globex: TenantRef, store: str, where: str
) -> None:
    async with limited(
        rate_limit_client="50/1h", rate_limit_tenant="3/1h", rate_limit_store=store, valkey_url=where
    ) as http:
        flooding = [await bearer(process, acme), await bearer(process, acme)]
        got = await asyncio.gather(*(statuses(http, headers, 10) for headers in flooding))
        assert sorted(got[0] + got[1]) == [200] * 3 + [429] * 17
        answer = await http.get("/v1/me", headers=await bearer(process, globex))
        assert (answer.status_code, told(answer)[1]) == (200, '"client-1h";r=49;t=72, "tenant-1h";r=2;t=1200')


@pytest.mark.parametrize("store", ["process", "postgresql", "valkey"])
async def test_two_clients_of_one_tenant_have_quotas_of_their_own(
    limited: Limited, process: Process, acme: TenantRef, globex: TenantRef, store: str, where: str
) -> None:
    async with limited(rate_limit_client="2/1h", rate_limit_store=store, valkey_url=where) as http:
        flooding, other = await bearer(process, acme), await bearer(process, acme)
        key = {"Authorization": f"Bearer {(await api_key(process, acme)).key}"}
        assert await statuses(http, flooding, 5) == [200, 200, 429, 429, 429]
        assert await statuses(http, other, 3) == [200, 200, 429]
        assert await statuses(http, key, 3) == [200, 200, 429]


async def test_subjects_of_one_id_in_two_tenants_have_quotas_of_their_own(
    limited: Limited, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    """A tenant that is copied has users of the same ids. Theirs is refused here for it is unknown, but not for 429."""
    subject, tokens = acme.id, process.tokens
    headers = [
        {
            "Authorization": "Bearer "
            + tokens.issue(kind="client", subject=subject, tenant_id=one.id, scopes=frozenset())
        }
        for one in (acme, globex)
    ]
    async with limited(rate_limit_client="1/1h") as http:
        assert await statuses(http, headers[0], 2) == [401, 429]
        assert await statuses(http, headers[1], 2) == [401, 429]


async def test_a_renamed_tenant_keeps_its_quota(
    limited: Limited, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    headers, by_admin = await bearer(process, acme), await admin(process)
    async with limited(rate_limit_tenant="2/1h") as http:
        assert await statuses(http, headers, 3) == [200, 200, 429]
        renamed = await http.patch(f"/platform/v1/tenants/{acme.id}", headers=by_admin, json={"slug": f"{acme.slug}-b"})
        assert renamed.status_code == 200
        assert await statuses(http, headers, 1) == [429]


async def test_strangers_who_guess_passwords_use_up_their_address_and_not_the_tenant(
    limited: Limited, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    async with limited(rate_limit_address="3/1h", rate_limit_tenant="5/1h", address="203.0.113.9") as http:
        answers = [await login(http, acme, "nobody@acme.example", "wrong password") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert answers[4].json()["violated-policies"] == ["address-1h"]
        assert told(answers[0]) == ('"address-1h";q=3;w=3600', '"address-1h";r=2;t=1200')
        assert (await login(http, globex, "nobody@globex.example", "wrong password")).status_code == 401
        assert await statuses(http, await bearer(process, acme), 6) == [200] * 5 + [429]


@pytest.mark.parametrize("store", ["process", "postgresql", "valkey"])
async def test_strangers_who_guess_keys_use_up_their_address_and_are_looked_up_no_more(
    limited: Limited,
    process: Process,
    acme: TenantRef,
    globex: TenantRef,
    store: str,
    where: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up = count_calls(monkeypatch, ApiKeyReads, "by_digest")
    known = carrying((await api_key(process, acme)).key)
    async with limited(rate_limit_address="3/1h", rate_limit_store=store, valkey_url=where) as http:
        assert await statuses(http, known, 1) == [200]
        answers = [await http.get("/v1/me", headers=carrying(new_secret("key", tenant_id=acme.id))) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 3
        assert answers[5].json()["violated-policies"] == ["address-1h"]
        assert told(answers[0]) == ('"address-1h";q=3;w=3600', '"address-1h";r=2;t=1200')
        assert told(answers[5])[0] == '"address-1h";q=3;w=3600'
        assert 4 <= looked_up() <= 5  # that of the known one, and at most the one by which the quota is found used up
        # What is known passes, whoever guesses beside it; and so do other tenants, and those who log in.
        assert await statuses(http, known, 5) == [200] * 5
        assert await statuses(http, carrying(new_secret("key", tenant_id=globex.id)), 1) == [401]
        assert (await login(http, acme, "nobody@acme.example", "wrong password")).status_code == 401


async def test_good_keys_do_not_count_against_their_address(
    limited: Limited, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    keys = [(await api_key(process, acme)).key for _ in range(4)]
    async with limited(rate_limit_address="1/1h") as http:
        assert [await statuses(http, carrying(key), 2) for key in keys] == [[200, 200]] * 4
        assert await statuses(http, carrying(new_secret("key", tenant_id=acme.id)), 2) == [401, 429]


async def test_strangers_who_guess_admin_tokens_use_up_their_address_and_are_looked_up_no_more(
    limited: Limited, process: Process, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await admin(process)
    tenants = "/platform/v1/tenants"
    looked_up = count_calls(monkeypatch, AdminTokenRepository, "valid")
    async with limited(rate_limit_address="3/1h") as http:
        assert await statuses(http, known, 5, tenants) == [200] * 5
        guesses = [carrying(new_secret("admin", tenant_id=None)) for _ in range(5)]
        answers = [await http.get(tenants, headers=headers) for headers in guesses]
        assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 2
        assert answers[4].json()["violated-policies"] == ["address-1h"]
        assert looked_up() == 5 + 3
        body = {"name": "nobody", "password": "wrong password"}
        assert (await http.post("/platform/v1/auth/login", json=body)).status_code == 401


async def test_addresses_behind_a_trusted_proxy_are_told_apart(
    limited: Limited, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    async with limited(rate_limit_address="1/1h", trusted_proxies="10.0.0.0/8", address="10.0.0.1") as http:

        async def status(forwarded: str) -> int:
            headers = {"X-Tenant": acme.slug, "X-Forwarded-For": forwarded}
            return (await http.post("/v1/auth/refresh", headers=headers, json={"refresh_token": "x"})).status_code

        one_site = ["2001:db8:1:2::1", "2001:db8:1:2::2"]
        assert [await status(address) for address in ["203.0.113.1", "203.0.113.1", "203.0.113.2", *one_site]] == [
            *(401, 429, 401),
            *(401, 429),
        ]


async def test_an_admin_has_a_quota_too(limited: Limited, process: Process, acme: TenantRef) -> None:
    async with limited(rate_limit_client="2/1h", rate_limit_address="2/1h") as http:
        answers = [
            await http.get("/platform/v1/tenants", headers=await_headers)
            for await_headers in [await admin(process)] * 3
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert told(answers[0]) == ('"client-1h";q=2;w=3600', '"client-1h";r=1;t=1800')
        assert (await http.get("/platform/v1/tenants", headers=await admin(process))).status_code == 200
        body = {"name": "nobody", "password": "wrong password"}
        logins = [await http.post("/platform/v1/auth/login", json=body) for _ in range(3)]
        assert [answer.status_code for answer in logins] == [401, 401, 429]


async def test_limits_can_be_turned_off(limited: Limited, process: Process, acme: TenantRef, globex: TenantRef) -> None:
    async with limited() as http:
        answer = await http.get("/v1/me", headers=await bearer(process, acme))
        assert (answer.status_code, told(answer)) == (200, (None, None))


async def test_what_belongs_to_no_tenant_and_what_has_no_credential_is_not_counted(
    limited: Limited, acme: TenantRef
) -> None:
    async with limited(rate_limit_client="1/1h", rate_limit_tenant="1/1h", rate_limit_address="1/1h") as http:
        for path, status in [("/health/live", 200), ("/openapi.json", 200), ("/v1/me", 401), ("/nothing", 404)]:
            for _ in range(3):
                answer = await http.get(path)
                assert (answer.status_code, told(answer)) == (status, (None, None))


async def test_a_refused_request_is_not_carried_out_and_is_when_it_is_sent_again(
    limited: Limited, clock: Clock, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    """Its idempotency key stays free: nothing was opened for it."""
    headers = await bearer(process, acme) | {"Idempotency-Key": "9f9dd5c2-1b6f-4c2f-8d0e-3b1f8f6f0a11"}
    async with limited(rate_limit_client="1/1s") as http:
        assert (await http.get("/v1/me", headers=headers)).status_code == 200
        refused = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        assert refused.status_code == 429
        clock.move_on(1)
        made = await http.post("/v1/items", headers=headers, json={"title": "Desk"})
        assert (made.status_code, made.headers.get("idempotent-replayed")) == (201, None)


async def test_the_defaults_let_a_busy_client_through(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    answer = await http.get("/v1/me", headers=await bearer(process, acme))
    assert told(answer) == (
        ", ".join(
            [
                *('"client-10s";q=2000;w=10', '"client-1h";q=360000;w=3600'),
                *('"tenant-10s";q=10000;w=10', '"tenant-1h";q=1800000;w=3600'),
            ]
        ),
        '"client-10s";r=1999;t=1, "client-1h";r=359999;t=1, "tenant-10s";r=9999;t=1, "tenant-1h";r=1799999;t=1',
    )
