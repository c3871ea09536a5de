"""While a tenant is put back, nobody meets rows of a state that is not the one they began with.

Without the renaming of what is set aside, a process that has not heard of it would go on to serve it under the slug;
were its names taken over instead, a request could begin in one state and end in the other.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from leasehold.config import Settings
from leasehold.main import create_app, running
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantPutBack, TenantRef
from tests.api.problems import on, refusal_of
from tests.archives import exported
from tests.factories import OPERATOR, api_key, item
from tests.restores import aside_of, put_back

_TITLES = text("SELECT title FROM items ORDER BY title")
_ADD = text(
    "INSERT INTO items (id, title, created_at, updated_at) VALUES (gen_random_uuid(), 'in the middle', now(), now())"
)


@pytest.fixture
async def key(process: Process, acme: TenantRef) -> dict[str, str]:
    """The headers of an API key that is as old as yesterday's archive."""
    return {"Authorization": f"Bearer {(await api_key(process, acme)).key}"}


@pytest.fixture
async def yesterday(process: Process, acme: TenantRef, key: dict[str, str], tmp_path: Path) -> Path:
    """An archive of a tenant with one item, which has two by now."""
    await item(process, acme, "of yesterday")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    await item(process, acme, "of today")
    return tmp_path / "acme.archive"


@asynccontextmanager
async def deaf(settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """Lend a client of another process, which knows all tenants of this moment and hears nothing any more."""
    app = create_app(settings.model_copy(update={"directory_max_age_s": 3600.0}))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with running(app.app.state.process):
        await app.app.state.process.feed.close()
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{settings.base_domain}") as client:
            yield client


def _titles(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return sorted(one["title"] for one in answer.json()["items"])


async def test_a_process_that_has_not_heard_of_it_serves_neither_state_but_asks_to_come_back(
    process: Process, settings: Settings, acme: TenantRef, key: dict[str, str], yesterday: Path
) -> None:
    path = on(acme.slug, "/v1/items")
    async with deaf(settings) as client:
        assert _titles(await client.get(path, headers=key)) == ["of today", "of yesterday"]
        await put_back(process, yesterday, acme.id)
        for answer in (
            await client.get(path, headers=key),
            await client.get(on(acme.slug, "/v1/items/export"), headers=key),
            await client.post(path, headers=key, json={"title": "lost"}),
        ):
            assert refusal_of(answer) == (503, "tenant-put-back")
            assert answer.headers["retry-after"] == "1"
        await process.restorer.undo(acme.id, by=OPERATOR)
        # What it knows is right again.
        assert _titles(await client.get(path, headers=key)) == ["of today", "of yesterday"]


async def test_a_transaction_that_has_begun_meets_the_state_that_it_began_with_or_nothing(
    process: Process, acme: TenantRef, yesterday: Path
) -> None:
    async def read_twice() -> None:
        async with open_tenant_session(process.database, acme) as session:
            assert list(await session.scalars(_TITLES)) == ["of today", "of yesterday"]
            await put_back(process, yesterday, acme.id)
            await session.scalars(_TITLES)

    async def write() -> None:
        async with open_tenant_session(process.database, acme) as session:
            await session.execute(_ADD)

    for act in (read_twice, write):
        with pytest.raises(TenantPutBack):
            await act()


async def test_a_transaction_that_has_written_is_waited_for_and_its_row_is_part_of_what_is_kept(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    async with open_tenant_session(process.database, acme) as writing:
        await writing.execute(_ADD)
        moving = asyncio.create_task(put_back(process, yesterday, acme.id))
        waits = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ExclusiveLock' AND relation IS NOT NULL "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        async with asyncio.timeout(30):
            while not await owner.fetchval(waits):
                await asyncio.sleep(0.01)
        assert not moving.done()
    await moving
    kept = (await aside_of(owner, acme.id))["schema_name"]
    served = await owner.fetchval("SELECT schema_name FROM platform.tenants WHERE id = $1", acme.id)
    titles = 'SELECT title FROM "{}".items ORDER BY title'
    assert [row[0] for row in await owner.fetch(titles.format(kept))] == ["in the middle", "of today", "of yesterday"]
    assert [row[0] for row in await owner.fetch(titles.format(served))] == ["of yesterday"]


async def test_another_tenant_that_is_in_a_transaction_meanwhile_goes_on_with_its_own_rows(
    process: Process, acme: TenantRef, globex: TenantRef, yesterday: Path
) -> None:
    await item(process, globex, "of globex")
    async with open_tenant_session(process.database, globex) as session:
        assert list(await session.scalars(_TITLES)) == ["of globex"]
        await put_back(process, yesterday, acme.id)
        await session.execute(_ADD)
        await process.restorer.undo(acme.id, by=OPERATOR)
        assert list(await session.scalars(_TITLES)) == ["in the middle", "of globex"]
    # The connection of a transaction that was refused serves others as before.
    async with open_tenant_session(process.database, globex) as session:
        assert list(await session.scalars(_TITLES)) == ["in the middle", "of globex"]
