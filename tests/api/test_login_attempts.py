"""Failed log-ins: counted before they are looked at, per account and per address, with growing waits."""

import asyncio
import time

import httpx
import pytest
from sqlalchemy import text

from leasehold.main import create_app, running
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import provisioned
from tests.people import PASSWORD, SAM, login, post, user

FREE = 5


@pytest.fixture
async def sam(process: Process, acme: TenantRef, globex: TenantRef) -> None:
    """A user of the same address in both tenants."""
    for tenant in (acme, globex):
        await user(process, tenant)


async def waits_of(process: Process, tenant: TenantRef) -> list[int]:
    """Return the seconds that must now be waited for, the longest first, and stretch them so that no test is late."""
    async with open_tenant_session(process.database, tenant) as session:
        rows = await session.scalars(
            text("SELECT extract(epoch FROM blocked_until_at - last_at)::int FROM attempts ORDER BY 1 DESC")
        )
        waits = list(rows)
        await session.execute(
            text("UPDATE attempts SET blocked_until_at = now() + interval '1 hour' WHERE blocked_until_at > last_at")
        )
    return waits


async def forget_waits(process: Process, tenant: TenantRef) -> None:
    """Let every wait be over."""
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(text("UPDATE attempts SET blocked_until_at = now() - interval '1 second'"))


async def fail(http: httpx.AsyncClient, tenant: TenantRef, times: int, address: str = SAM) -> list[tuple[int, str]]:
    return [refusal_of(await login(http, tenant, address, "wrong horse battery")) for _ in range(times)]


@pytest.mark.parametrize("address", [SAM, "nobody@acme.example"])
async def test_an_account_waits_after_five_failures_whether_there_is_one_or_not(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef, globex: TenantRef, address: str
) -> None:
    assert await fail(http, acme, FREE, address) == [(401, "invalid-credentials")] * FREE
    assert await waits_of(process, acme) == [1, 0]
    refused = await login(http, acme, address)
    assert refusal_of(refused) == (429, "too-many-attempts")
    assert 3000 <= int(refused.headers["retry-after"]) <= 3600
    assert (await login(http, globex)).status_code == 200


async def test_the_wait_grows_with_each_failure_up_to_a_quarter_of_an_hour(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    await fail(http, acme, FREE - 1)
    waits: list[int] = []
    for _ in range(13):
        await fail(http, acme, 1)
        waits.append((await waits_of(process, acme))[0])
        await forget_waits(process, acme)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


async def test_a_success_forgets_the_failures(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    await fail(http, acme, FREE - 1)
    assert (await login(http, acme)).status_code == 200
    assert await fail(http, acme, FREE) == [(401, "invalid-credentials")] * FREE


async def test_logins_of_one_account_from_one_address_do_not_wait_for_each_other_for_ever(
    http: httpx.AsyncClient, process: Process
) -> None:
    """Each counts for account and address, and takes both back; the order of the two differs from tenant to tenant."""
    for _ in range(4):
        tenant = await provisioned(process)
        await user(process, tenant)
        for _ in range(10):
            answers = await asyncio.gather(*(login(http, tenant) for _ in range(4)))
            assert {answer.status_code for answer in answers} == {200}


async def test_a_burst_of_guesses_gains_nothing(http: httpx.AsyncClient, sam: None, acme: TenantRef) -> None:
    started = time.monotonic()
    answers = await asyncio.gather(*(login(http, acme, SAM, f"guess number {number}") for number in range(29)))
    # Whoever is looked at behind the fifth has waited at least a second for it.
    assert [answer.status_code for answer in answers].count(401) <= FREE + int(time.monotonic() - started)


async def test_an_address_that_tries_many_accounts_waits_too(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    for number in range(30):
        assert await fail(http, acme, 1, f"user-{number}@acme.example") == [(401, "invalid-credentials")]
    await waits_of(process, acme)
    assert refusal_of(await login(http, acme)) == (429, "too-many-attempts")


async def test_failures_survive_a_restart_and_are_shared_by_all_processes(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef
) -> None:
    await fail(http, acme, FREE)
    await waits_of(process, acme)
    other = create_app(process.settings)
    async with running(other.app.state.process):
        transport = httpx.ASGITransport(other, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://leasehold.test") as elsewhere:
            assert refusal_of(await login(elsewhere, acme)) == (429, "too-many-attempts")


async def test_an_attempt_is_counted_before_its_password_is_looked_at(
    http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies over the hash, or a client that hangs up, must not have gained a guess."""
    looked_at = asyncio.Event()

    async def hang(*_: object) -> bool:
        looked_at.set()
        await asyncio.sleep(60)
        return False

    with monkeypatch.context() as patched:
        patched.setattr(process.passwords, "matches", hang)
        for _ in range(FREE):
            looked_at.clear()
            guess = asyncio.create_task(login(http, acme, SAM, "wrong horse battery"))
            await looked_at.wait()
            guess.cancel()
            await asyncio.wait([guess])
    assert await waits_of(process, acme) == [1, 0]
    assert refusal_of(await login(http, acme)) == (429, "too-many-attempts")


async def test_the_count_names_nobody(http: httpx.AsyncClient, process: Process, sam: None, acme: TenantRef) -> None:
    await fail(http, acme, 1)
    async with open_tenant_session(process.database, acme) as session:
        rows = (await session.execute(text("SELECT attempts::text FROM attempts"))).scalars().all()
    assert len(rows) == 2
    assert [row for row in rows if "sam" in row or "127.0.0.1" in row] == []


async def test_sign_ups_and_forgotten_passwords_are_counted_per_address(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    for path in ("register", "forgotten-password"):
        statuses: list[int] = []
        for number in range(31):
            if number == 30:
                await waits_of(process, acme)
            body = {"email": f"user-{number}@acme.example"}
            body |= {"password": PASSWORD} if path == "register" else {}
            statuses.append((await post(http, acme, path, body)).status_code)
        assert statuses[:30].count(429) == 0
        assert statuses[30] == 429
