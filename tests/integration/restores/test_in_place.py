"""A tenant that is put back has the rows that it had, its credentials go on, and what it had meanwhile is kept."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from leasehold.config import Settings
from leasehold.core.database import driver_url, platform_session
from leasehold.core.errors import NotFound
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.restores import refusals
from leasehold.tenancy.restores.restoring import Restorer
from tests.api.problems import on
from tests.archives import Rows, exported, fill, imported, purged, rows_of_a_tenant
from tests.factories import OPERATOR, api_key, bearer, item, lifecycle, provisioned
from tests.restores import aside_of, put_back, rows_of


@pytest.fixture
async def yesterday(process: Process, acme: TenantRef, tmp_path: Path) -> Path:
    """An archive of a tenant with one item, which has another one by now."""
    await item(process, acme, "of yesterday")
    file = tmp_path / "yesterday.archive"
    await exported(process, acme.slug, file)
    await item(process, acme, "of today")
    return file


async def _titles(http: httpx.AsyncClient, slug: str, headers: dict[str, str]) -> list[str]:
    answer = await http.get(on(slug, "/v1/items"), headers=headers)
    assert answer.status_code == 200, answer.text
    return sorted(one["title"] for one in answer.json()["items"])


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rows=rows_of_a_tenant(), later=rows_of_a_tenant())
async def test_undo_brings_back_the_rows_of_today_and_undone_again_those_of_yesterday(
    process: Process, owner: Any, tmp_path: Path, rows: Rows, later: Rows
) -> None:
    tenant = await provisioned(process)
    await fill(owner, tenant.schema, process.key, rows)
    earlier = await rows_of(process, owner, tenant.id)
    file = tmp_path / f"{tenant.slug}.archive"
    await exported(process, tenant.slug, file)
    await owner.execute(f'TRUNCATE "{tenant.schema}".users, "{tenant.schema}".api_clients CASCADE')
    await fill(owner, tenant.schema, process.key, {name: later[name] for name in ("users", "totp")})
    today = await rows_of(process, owner, tenant.id)

    done = await put_back(process, file, tenant.id)
    assert (done.id, done.slug) == (tenant.id, tenant.slug)
    assert await rows_of(process, owner, tenant.id) == earlier
    assert (await process.restorer.undo(tenant.id, by=OPERATOR)).is_undone
    assert await rows_of(process, owner, tenant.id) == today
    with pytest.raises(refusals.UndoneAlready):
        await process.restorer.undo(tenant.id, by=OPERATOR)
    assert await rows_of(process, owner, tenant.id) == today
    assert not (await process.restorer.redo(tenant.id, by=OPERATOR)).is_undone
    assert await rows_of(process, owner, tenant.id) == earlier


async def test_keys_and_tokens_go_on_and_what_was_made_since_is_no_credential_any_more(
    process: Process, http: httpx.AsyncClient, acme: TenantRef, tmp_path: Path
) -> None:
    old_key, old_token = await api_key(process, acme), await bearer(process, acme)
    await item(process, acme, "of yesterday")
    await exported(process, acme.slug, tmp_path / "acme.archive")
    await item(process, acme, "of today")
    new_key, new_token = await api_key(process, acme), await bearer(process, acme)
    old, new = {"Authorization": f"Bearer {old_key.key}"}, {"Authorization": f"Bearer {new_key.key}"}
    for headers in (old, new, old_token, new_token):  # so that the process remembers all four
        assert await _titles(http, acme.slug, headers) == ["of today", "of yesterday"]

    await put_back(process, tmp_path / "acme.archive", acme.id)
    await process.feed.caught_up()
    for headers in (old, old_token):
        assert await _titles(http, acme.slug, headers) == ["of yesterday"]
    for headers in (new, new_token):
        assert (await http.get(on(acme.slug, "/v1/items"), headers=headers)).status_code == 401

    await process.restorer.undo(acme.id, by=OPERATOR)
    await process.feed.caught_up()
    for headers in (old, new, old_token, new_token):
        assert await _titles(http, acme.slug, headers) == ["of today", "of yesterday"]


async def test_what_the_platform_says_of_a_tenant_stays_and_both_logs_tell_what_was_done(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    await owner.execute("UPDATE platform.tenants SET name = 'New', slug = $2 WHERE id = $1", acme.id, f"{acme.slug}-n")
    done = await put_back(process, yesterday, acme.id)
    row = await owner.fetchrow("SELECT * FROM platform.tenants WHERE id = $1", acme.id)
    assert (row["slug"], row["name"], row["state"]) == (f"{acme.slug}-n", "New", "active")
    kept = await aside_of(owner, acme.id)
    assert (kept["id"], kept["slug"], kept["state"]) == (done.aside_id, f"-{done.aside_id.hex}", "set_aside")
    assert (kept["schema_name"], kept["role_name"]) == (f"t_{kept['id'].hex}", f"lh_t_{kept['id'].hex}")
    await process.restorer.undo(acme.id, by=OPERATOR)
    await process.restorer.confirm(acme.id, by=OPERATOR)
    row = await owner.fetchrow("SELECT * FROM platform.tenants WHERE id = $1", acme.id)
    assert (row["schema_name"], row["role_name"]) == (acme.schema, acme.role)
    actions = "SELECT action FROM {} WHERE target_id = $1 AND action LIKE 'tenant.put_back%' ORDER BY id"
    of_platform = await owner.fetch(actions.format("platform.audit_events"), acme.id)
    assert [one[0] for one in of_platform] == ["tenant.put_back", "tenant.put_back_undone", "tenant.put_back_confirmed"]
    # What was put back has gone, and with it what its own log said of that.
    own = await owner.fetch(actions.format(f'"{acme.schema}".audit_events'), acme.id)
    assert [one[0] for one in own] == ["tenant.put_back_undone", "tenant.put_back_confirmed"]


async def test_confirm_destroys_what_was_kept_with_a_certificate_and_nothing_else(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    done = await put_back(process, yesterday, acme.id)
    served = await rows_of(process, owner, acme.id)
    await process.restorer.confirm(acme.id, by=OPERATOR)
    kept = await owner.fetchrow("SELECT * FROM platform.tenants WHERE id = $1", done.aside_id)
    assert (kept["state"], kept["name"]) == ("purged", "")
    assert await owner.fetchval("SELECT to_regnamespace($1) IS NULL", kept["schema_name"])
    assert await owner.fetchval("SELECT to_regrole($1) IS NULL", kept["role_name"])
    certificate = await owner.fetchrow("SELECT * FROM platform.tenant_purges WHERE tenant_id = $1", done.aside_id)
    assert certificate["finished_at"] is not None
    assert await rows_of(process, owner, acme.id) == served
    for act in (process.restorer.confirm, process.restorer.undo):
        with pytest.raises(refusals.NothingWaits, match=f"The tenant {acme.slug} was not put back"):
            await act(acme.id, by=OPERATOR)
    await put_back(process, yesterday, acme.id)  # another time is another restore


async def test_what_was_kept_can_be_neither_resumed_nor_deleted_nor_exported_nor_served(
    process: Process, http: httpx.AsyncClient, owner: Any, acme: TenantRef, yesterday: Path, tmp_path: Path
) -> None:
    headers = await bearer(process, acme)
    done = await put_back(process, yesterday, acme.id)
    async with platform_session(process.database) as session:
        for act in (lifecycle(session).resume, lifecycle(session).delete, lifecycle(session).restore):
            with pytest.raises(NotFound):
                await act(done.aside_id, by=OPERATOR)
    with pytest.raises(Exception, match="is set_aside, and has nothing that could be exported"):
        await exported(process, f"-{done.aside_id.hex}", tmp_path / "kept.archive")
    assert not await process.purger.purge(done.aside_id, by=OPERATOR)
    await process.feed.caught_up()
    answer = await http.get(on(f"-{done.aside_id.hex}", "/v1/items"), headers=headers)
    assert answer.status_code == 404


async def test_a_tenant_that_waits_is_not_put_back_once_more_and_of_two_at_once_one_does_it(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    both = await asyncio.gather(*(put_back(process, yesterday, acme.id) for _ in range(2)), return_exceptions=True)
    refused = [one for one in both if isinstance(one, refusals.RestoreUnderWay | refusals.WaitsForConfirmation)]
    assert len(refused) == 1
    schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'"
    before = await owner.fetchval(schemas)
    with pytest.raises(refusals.WaitsForConfirmation, match=f"The tenant {acme.slug} was put back already"):
        await put_back(process, yesterday, acme.id)
    assert await owner.fetchval(schemas) == before


async def test_a_tenant_is_not_put_back_to_what_another_one_had_nor_while_it_is_deleted(
    process: Process, owner: Any, acme: TenantRef, globex: TenantRef, yesterday: Path
) -> None:
    with pytest.raises(refusals.AnotherTenants, match=f"an archive of {acme.slug}, which is not the tenant"):
        await put_back(process, yesterday, globex.id)
    async with platform_session(process.database) as session:
        await lifecycle(session).delete(acme.id, by=OPERATOR)
    with pytest.raises(refusals.NotInPlace, match=f"The tenant {acme.slug} is deleted"):
        await put_back(process, yesterday, acme.id)
    assert await aside_of(owner, globex.id) is None


async def test_jobs_that_wait_go_with_the_rows_for_which_they_were_asked(
    process: Process, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    add = """
INSERT INTO platform.jobs (id, tenant_id, name, arguments, priority, state, max_attempts, run_at, dedupe_key)
VALUES (gen_random_uuid(), $1, $2, '{}', 0, 'ready', 1, now() + interval '1 day', 'same')
"""
    names = "SELECT name FROM platform.jobs WHERE tenant_id = $1 ORDER BY name"
    await owner.execute(add, acme.id, "of.today")
    done = await put_back(process, yesterday, acme.id)
    assert [row[0] for row in await owner.fetch(names, acme.id)] == []
    await owner.execute(add, acme.id, "of.today")
    await process.restorer.undo(acme.id, by=OPERATOR)
    for tenant_id in (acme.id, done.aside_id):
        assert [row[0] for row in await owner.fetch(names, tenant_id)] == ["of.today"]
    await process.restorer.confirm(acme.id, by=OPERATOR)
    assert [row[0] for row in await owner.fetch(names, acme.id)] == ["of.today"]
    await owner.execute("DELETE FROM platform.jobs WHERE tenant_id = $1", acme.id)


async def test_a_purge_destroys_what_was_kept_too_and_an_import_brings_the_tenant_back_under_its_id(
    process: Process, http: httpx.AsyncClient, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    key = await api_key(process, acme)
    await exported(process, acme.slug, tmp_path / "acme.archive")
    done = await put_back(process, tmp_path / "acme.archive", acme.id)
    await purged(process, acme.id)
    left = await owner.fetch("SELECT state FROM platform.tenants WHERE id = ANY($1)", [acme.id, done.aside_id])
    assert [row[0] for row in left] == ["purged", "purged"]
    assert await owner.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = ANY($1)", [acme.role]) == 0

    back = await imported(process, tmp_path / "acme.archive")
    await process.feed.caught_up()
    assert (back.id, back.has_kept_id, back.reissue) == (acme.id, True, ())
    assert await _titles(http, acme.slug, {"Authorization": f"Bearer {key.key}"}) == []


async def test_a_tenant_to_which_somebody_writes_all_the_time_is_left_as_it_is_and_readers_are_not_waited_for(
    process: Process, settings: Settings, owner: Any, acme: TenantRef, yesterday: Path
) -> None:
    impatient = Restorer(process.importer, process.owner, process.purger, tenant_roles=True, patience_s=0)
    other: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))  # type: ignore[union-attr]
    transaction = other.transaction()
    await transaction.start()
    await other.execute(f"""UPDATE "{acme.schema}".items SET title = 'x'""")
    before = await rows_of(process, owner, acme.id)
    with pytest.raises(
        refusals.StillBusy, match=r"were held by others all the time for 0 seconds, at last by process [0-9]+;"
    ):
        await put_back(process, yesterday, acme.id, restorer=impatient)
    await transaction.rollback()
    assert await rows_of(process, owner, acme.id) == before
    transaction = other.transaction()
    await transaction.start()
    await other.fetch(f'SELECT * FROM "{acme.schema}".items')
    await put_back(process, yesterday, acme.id)
    await transaction.rollback()
    await other.close()
