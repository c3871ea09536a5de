"""Workers that are killed while they copy a tenant or make its export: nothing half done stays, nobody waits for ever.

LEASEHOLD_TEST_SEED chooses the moments; with LEASEHOLD_TEST_LONG there are many more of them.
"""

import asyncio
import io
import os
import random
import sys
import zipfile
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.platform.clones.schemas import CloneCreate
from leasehold.platform.clones.service import CloneService
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import SPARE_ATTEMPTS
from leasehold.tenancy.names import role_name, schema_name
from leasehold.workspace.exports.service import ExportService
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, new_slug, parts_of
from tests.faults.agreement import eventually
from tests.faults.working import Crew
from tests.integration.archives.conftest import as_owner

SEED = int(os.environ.get("LEASEHOLD_TEST_SEED", "9"))
ROUNDS = 40 if os.environ.get("LEASEHOLD_TEST_LONG") else 1
_WITHIN_S = 0.6
"""In which a worker makes a copy and an export, so that it is killed in the midst of them."""
_ROWS = """
INSERT INTO "{schema}".items (id, title, description, created_at, updated_at)
SELECT gen_random_uuid(), 'x', repeat(md5(n::text), 20), now(), now() FROM generate_series(1, 8000) n
"""
_TO_THE_LAST_ATTEMPT = "UPDATE platform.jobs SET attempts = max_attempts - $1 - 1 WHERE name = ANY($2)"
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass"
_LEFT = """
SELECT (SELECT array_agg(n.nspname::text) FROM pg_namespace n WHERE n.nspname LIKE 't\\_%'
           AND NOT EXISTS (SELECT FROM platform.tenants t WHERE t.schema_name = n.nspname)) AS schemas,
       (SELECT array_agg(t.slug) FROM platform.tenants t WHERE to_regnamespace(t.schema_name) IS NULL) AS tenants
"""
_AT_WORK = "SELECT count(*) FROM platform.jobs WHERE state = 'running' AND name = ANY($1)"
_JOBS = "SELECT name, state, error FROM platform.jobs WHERE name = ANY($1) ORDER BY name"
_OURS = ["clones.make", "exports.make"]


@pytest.fixture(scope="module")
def own(admin_url: str) -> Generator[Settings]:
    """An installation whose jobs nobody else does."""
    with installed(admin_url, f"leasehold_copies_{new_slug()[2:]}") as settings:
        migrate(settings)
        yield settings


@pytest.fixture(scope="module")
async def there(own: Settings) -> AsyncGenerator[Process]:
    async with parts_of(own) as process:
        yield process


@pytest.fixture(scope="module")
async def owner(own: Settings) -> AsyncGenerator[Any]:
    connection = await as_owner(own)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def tenant(there: Process, owner: Any) -> TenantRef:
    """A tenant of a few megabytes."""
    made = await there.provisioner.provision(slug=new_slug(), name="A tenant", by=OPERATOR)
    await owner.execute(_ROWS.format(schema=made.schema))
    return made


@pytest.fixture
def crew(own: Settings, tmp_path: Path) -> Crew:
    return Crew(own, tmp_path)


async def asked(process: Process, tenant: TenantRef) -> tuple[UUID, UUID, UUID]:
    """Ask for an export and a copy of a tenant; return the ids of both, and that of the tenant to come."""
    async with open_tenant_session(process.database, tenant) as session:
        export = await ExportService(session, kept=timedelta(days=1)).request(by=OPERATOR)
    async with platform_session(process.database) as session:
        clone = await CloneService(session).request(tenant.id, CloneCreate(new_slug(), False), by=OPERATOR)
    return export.id, clone.id, clone.tenant_id


async def states(process: Process, owner: Any, tenant: TenantRef, export_id: UUID, clone_id: UUID) -> tuple[str, str]:
    export = await owner.fetchval(f'SELECT state FROM "{tenant.schema}".tenant_exports WHERE id = $1', export_id)
    async with platform_session(process.database) as session:
        return export, (await CloneService(session).find(tenant.id, clone_id)).state


async def have_ended(process: Process, owner: Any, tenant: TenantRef, *ids: UUID) -> bool:
    return "waiting" not in await states(process, owner, tenant, *ids)


async def test_what_is_killed_in_its_last_attempt_is_called_failed(
    there: Process, owner: Any, tenant: TenantRef, crew: Crew
) -> None:
    export_id, clone_id, copy_id = await asked(there, tenant)
    await owner.execute(_TO_THE_LAST_ATTEMPT, SPARE_ATTEMPTS, _OURS)
    holder = await as_owner(there.settings)

    async def both_wait() -> bool:
        # Others may wait, too: once an hour a worker looks how large the tables are.
        waiting = await owner.fetchval(_WAITING, f"{tenant.schema}.items")
        return waiting >= 2 and await owner.fetchval(_AT_WORK, _OURS) == 2

    held = holder.transaction()
    await held.start()
    await holder.execute(f'LOCK TABLE "{tenant.schema}".items IN ACCESS EXCLUSIVE MODE')
    async with crew.working(1):
        await eventually(both_wait)
        await crew.kill_a_worker(random.Random(SEED))
        await held.rollback()
        await eventually(partial(have_ended, there, owner, tenant, export_id, clone_id))
        await eventually(partial(_are_dead, owner))
    assert await states(there, owner, tenant, export_id, clone_id) == ("failed", "failed")
    told = "GivenUp: It was tried {} times, and will not be tried again: the last time it was cut off."
    assert [tuple(row) for row in await owner.fetch(_JOBS, _OURS)] == [
        ("clones.make", "dead", told.format(5)),
        ("exports.make", "dead", told.format(3)),
    ]
    assert await owner.fetchval("SELECT to_regnamespace($1)", schema_name(copy_id)) is None
    await owner.execute("DELETE FROM platform.jobs")
    await holder.close()


async def _are_dead(owner: Any) -> bool:
    return [row["state"] for row in await owner.fetch(_JOBS, _OURS)] == ["dead", "dead"]


async def _are_ticked_off(owner: Any) -> bool:
    return await owner.fetch(_JOBS, _OURS) == []


async def test_whoever_is_killed_while_he_copies_another_makes_all_of_it(
    there: Process, owner: Any, tenant: TenantRef, crew: Crew
) -> None:
    dice, drawn = random.Random(SEED), list[float]()
    async with crew.working(1):
        for _ in range(ROUNDS):
            ids = export_id, clone_id, copy_id = await asked(there, tenant)
            for _ in range(dice.choice([1, 2, 2])):  # an export is tried three times
                await eventually(partial(_is_begun, there, owner, tenant, *ids[:2]))
                drawn.append(dice.uniform(0, _WITHIN_S))
                await asyncio.sleep(drawn[-1])
                for process in crew.processes.values():
                    with suppress(ProcessLookupError):  # the one that was killed before, and is not there anew yet
                        process.kill()
            await eventually(partial(have_ended, there, owner, tenant, export_id, clone_id))
            case = f"seed {SEED}, killed after {drawn}"
            assert await states(there, owner, tenant, export_id, clone_id) == ("ready", "done"), case
            assert await _rows(owner, schema_name(copy_id)) == await _rows(owner, tenant.schema), case
            assert await _rows_in_file(owner, tenant, export_id) == 8000, case
            assert tuple(await owner.fetchrow(_LEFT)) == (None, None), case
            assert await owner.fetchval("SELECT to_regrole($1) IS NOT NULL", role_name(copy_id)), case
            await eventually(partial(_are_ticked_off, owner))
    sys.stdout.write(f"seed {SEED}, killed after {[round(at, 3) for at in drawn]}\n")


async def _is_begun(process: Process, owner: Any, tenant: TenantRef, *ids: UUID) -> bool:
    """Tell whether a worker does any of it, or nothing is left to do."""
    return await owner.fetchval(_AT_WORK, _OURS) > 0 or await have_ended(process, owner, tenant, *ids)


async def _rows(owner: Any, schema: str) -> str:
    return str(await owner.fetchval(f"SELECT md5(string_agg(i::text, '' ORDER BY id)) FROM \"{schema}\".items i"))


async def _rows_in_file(owner: Any, tenant: TenantRef, export_id: UUID) -> int:
    """Return how many items the file of the one export has, after seeing that it is whole."""
    place = f'"{tenant.schema}"'
    size = await owner.fetchval(f"SELECT size_bytes FROM {place}.tenant_exports WHERE id = $1", export_id)
    parts = await owner.fetch(f"SELECT export_id, data FROM {place}.export_chunks ORDER BY position")
    assert {part["export_id"] for part in parts} == {export_id}
    data = b"".join(part["data"] for part in parts)
    assert len(data) == size
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        return file.read("items.ndjson").count(b"\n")
