"""What is kept of a tenant that was put back: its jobs, nothing of its terms, and destroyed only as it was seen."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url, platform_session
from leasehold.platform.figures.repository import FigureRepository
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.restores import refusals
from leasehold.tenancy.restores.restoring import Kept
from tests.archives import exported
from tests.factories import OPERATOR, item
from tests.locks import WAITING
from tests.restores import aside_of, put_back

_ADD = """
INSERT INTO platform.jobs (id, tenant_id, name, arguments, priority, state, max_attempts, run_at)
VALUES (gen_random_uuid(), $1, 'of.today', '{}', 0, $2, 1, now() - interval '1 day')
"""
_STATES = "SELECT state FROM platform.jobs WHERE tenant_id = $1 ORDER BY state"


@pytest.fixture
async def yesterday(process: Process, acme: TenantRef, tmp_path: Path) -> Path:
    """An archive of a tenant."""
    await item(process, acme, "of yesterday")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    return tmp_path / "acme.archive"


async def test_jobs_that_failed_are_kept_too_and_none_that_is_kept_counts_as_waiting(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    async with platform_session(process.database) as session:
        before = (await FigureRepository(session).jobs(), await FigureRepository(session).waited_s() > 80_000)
    for state in ("dead", "delayed", "dropped", "ready"):
        await owner.execute(_ADD, acme.id, state)
    done = await put_back(process, yesterday, acme.id)
    assert await owner.fetch(_STATES, acme.id) == []
    assert [row[0] for row in await owner.fetch(_STATES, done.aside_id)] == ["dead", "delayed", "dropped", "ready"]
    async with platform_session(process.database) as session:
        figures = FigureRepository(session)
        assert (await figures.jobs(), await figures.waited_s() > 80_000) == before
    await process.restorer.undo(acme.id, by=OPERATOR)
    assert [row[0] for row in await owner.fetch(_STATES, acme.id)] == ["dead", "delayed", "dropped", "ready"]
    await owner.execute("DELETE FROM platform.jobs WHERE tenant_id = $1", acme.id)


async def test_what_is_kept_has_no_plan_of_its_own_that_could_not_be_deleted_then(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    plan = f"plan-{acme.id.hex[-12:]}"
    await owner.execute(
        "INSERT INTO platform.plans (id, name, created_at, updated_at) VALUES (gen_random_uuid(), $1, now(), now())",
        plan,
    )
    await owner.execute("UPDATE platform.tenants SET plan = $2 WHERE id = $1", acme.id, plan)
    await put_back(process, yesterday, acme.id)
    for move in (process.restorer.undo, process.restorer.redo):
        await move(acme.id, by=OPERATOR)
        assert await owner.fetchval("SELECT plan FROM platform.tenants WHERE id = $1", acme.id) == plan
    await owner.execute("UPDATE platform.tenants SET plan = 'default' WHERE id = $1", acme.id)
    await owner.execute("DELETE FROM platform.plans WHERE name = $1", plan)


async def test_what_was_seen_is_destroyed_and_nothing_that_came_into_its_place(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    done = await put_back(process, yesterday, acme.id)
    seen = Kept(done.aside_id, is_undone=True)
    with pytest.raises(refusals.ChangedMeanwhile, match="is no longer what you were asked about"):
        await process.restorer.confirm(acme.id, by=OPERATOR, seen=seen)
    assert (await aside_of(owner, acme.id))["state"] == "set_aside"
    await process.restorer.undo(acme.id, by=OPERATOR)
    await process.restorer.confirm(acme.id, by=OPERATOR, seen=seen)
    assert await aside_of(owner, acme.id) is None


async def test_after_a_confirmation_that_was_cut_off_all_else_says_to_confirm_again(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    done = await put_back(process, yesterday, acme.id)
    await owner.execute("UPDATE platform.tenants SET state = 'purging' WHERE id = $1", done.aside_id)
    for act in (process.restorer.undo, process.restorer.redo):
        with pytest.raises(
            refusals.BeingDestroyed, match=f"`leasehold restores confirm {acme.slug}` waits for the end"
        ):
            await act(acme.id, by=OPERATOR)
    with pytest.raises(refusals.BeingDestroyed):
        await put_back(process, yesterday, acme.id)
    await owner.execute("UPDATE platform.tenants SET state = 'set_aside' WHERE id = $1", done.aside_id)


async def test_a_domain_that_is_removed_while_the_tenant_moves_is_recorded_where_it_lives_then(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    hostname = f"{acme.slug}.example"
    add = "INSERT INTO platform.tenant_domains (id, tenant_id, hostname, created_at) VALUES ($1, $1, $2, now())"
    await owner.execute(add, acme.id, hostname)
    await put_back(process, yesterday, acme.id)
    assert settings.owner_url is not None
    mover: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))

    async def remove() -> None:
        async with platform_session(process.database) as session:
            tenants = TenantService(session, process.provisioner, base_domain=settings.base_domain, vacancies=0)
            await tenants.remove_domain(acme.id, hostname, by=OPERATOR)

    async with mover.transaction():
        await process.restorer.move(mover, acme.id).exchange(acme.slug, is_undone=True)
        removing = asyncio.create_task(remove())
        async with asyncio.timeout(30):
            while not await mover.fetchval(WAITING):
                await asyncio.sleep(0.01)
    await removing
    await mover.close()
