"""In which order a run goes through the fleet, whom it leaves out, and when it stops."""

from dataclasses import replace
from typing import Any

import pytest

from leasehold.cli.fleet_run import fleet_run
from leasehold.config import Settings
from leasehold.tenancy.fleet.history import DatabaseNewer, UnknownRevision
from leasehold.tenancy.fleet.plan import Destructive, RunOptions, UnknownTenantSlug
from leasehold.tenancy.fleet.run import Report, RunSummary
from tests.fleets import ADD_COLUMN, ADD_INDEX, add, provision, revisions, run


async def _break(owner: Any, *schemas: str) -> None:
    """Make the revision that adds a table `tags` fail in some schemas."""
    for schema in schemas:
        await owner.execute(f'CREATE TABLE "{schema}".tags (id int)')


async def _waves(own: Settings, **options: Any) -> tuple[RunSummary, list[tuple[str, int, int]]]:
    seen: list[tuple[str, int, int]] = []
    report = Report(on_wave=lambda wave, done, failed: seen.append((wave.name, done, failed)))
    verify = options.pop("verify", None)
    made = fleet_run(own, RunOptions(**{"jobs": 2, **options}), verify=verify)
    return await replace(made, report=report).run(), seen


async def test_canaries_go_first_and_the_others_in_waves(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 6)
    await owner.execute("UPDATE platform.tenants SET is_canary = true WHERE id = $1", tenants[4].id)
    add(own, "0002_colour", ADD_COLUMN)
    summary, waves = await _waves(own, canaries=(tenants[5].slug,), wave=3)
    assert waves == [("canaries", 2, 0), ("wave 1", 3, 0), ("wave 2", 1, 0)]
    assert {result.slug for result in summary.results[:2]} == {tenants[4].slug, tenants[5].slug}
    assert await revisions(owner, tenants) == ["0002"] * 6


async def test_a_canary_that_fails_stops_the_run(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 4)
    await _break(owner, tenants[3].schema)
    add(own, "0002_colour", ADD_COLUMN)
    summary = await run(own, canaries=(tenants[2].slug, tenants[3].slug))
    assert (summary.outcome, summary.stopped) == ("stopped", "1 of 2 canaries failed")
    assert await revisions(owner, tenants) == ["0001", "0001", "0002", "0001"]


@pytest.mark.parametrize(("command", "reached"), [("exit 3", "0001"), ("true", "0002")])
async def test_a_check_after_the_canaries_decides_whether_the_run_goes_on(
    own: Settings, owner: Any, command: str, reached: str
) -> None:
    tenants = await provision(own, 3)
    add(own, "0002_colour", ADD_COLUMN)
    summary, _ = await _waves(own, canaries=(tenants[0].slug,), verify=command)
    assert await revisions(owner, tenants) == ["0002", reached, reached]
    assert summary.stopped == ("the check `exit 3` exited with status 3" if reached == "0001" else None)


async def test_canaries_that_are_there_already_are_checked_before_the_others(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN)
    for _ in range(2):
        summary, _ = await _waves(own, canaries=(tenants[0].slug,), verify="exit 3")
        assert summary.stopped == "the check `exit 3` exited with status 3"
        assert await revisions(owner, tenants) == ["0002", "0001"]


async def test_a_run_stops_when_too_many_have_failed_and_leaves_the_rest_alone(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 6)
    await _break(owner, *(tenant.schema for tenant in tenants[:3]))
    add(own, "0002_colour", ADD_COLUMN)
    summary = await run(own, jobs=1, max_failures=2)
    assert (summary.outcome, len(summary.failed), len(summary.results)) == ("stopped", 2, 2)
    assert await revisions(owner, tenants) == ["0001"] * 6


async def test_tenants_can_be_named_and_left_out(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 4)
    slugs = [tenant.slug for tenant in tenants]
    add(own, "0002_colour", ADD_COLUMN)
    await run(own, only=tuple(slugs[:3]), exclude=(slugs[1],))
    assert await revisions(owner, tenants) == ["0002", "0001", "0002", "0001"]


async def test_only_who_failed_is_tried_again(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 3)
    await _break(owner, tenants[0].schema)
    add(own, "0002_colour", ADD_COLUMN)
    await run(own, only=(tenants[0].slug, tenants[1].slug))
    await owner.execute(f'DROP TABLE "{tenants[0].schema}".tags')
    again = await run(own, retry_failed=True)
    assert [result.slug for result in again.results] == [tenants[0].slug]
    assert await revisions(owner, tenants) == ["0002", "0002", "0001"]


async def test_a_run_may_end_before_head_and_nobody_is_taken_back_by_it(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN)
    add(own, "0003_index", ADD_INDEX)
    await run(own, only=(tenants[0].slug,))
    await run(own, target="0002")
    assert await revisions(owner, tenants) == ["0003", "0002"]
    assert (await run(own, target="0002")).planned == 0
    await run(own)
    assert await revisions(owner, tenants) == ["0003", "0003"]


async def test_what_destroys_something_must_be_allowed(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 1)
    add(own, "0002_colour", ADD_COLUMN)
    await run(own)
    with pytest.raises(Destructive, match=r"DROP TABLE tags.*0002_colour.py, line"):
        await run(own, direction="downgrade", target="0001")
    assert await revisions(owner, tenants) == ["0002"]
    assert (await run(own, direction="downgrade", target="0001", allow_destructive=True)).outcome == "succeeded"
    assert await revisions(owner, tenants) == ["0001"]


async def test_the_whole_fleet_goes_back_with_its_reference_and_comes_again(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 2)
    add(own, "0002_colour", ADD_COLUMN)
    await run(own)
    await run(own, direction="downgrade", target="-1", allow_destructive=True)
    assert await revisions(owner, tenants) == ["0001", "0001"]
    reference = "SELECT version_num FROM tenant_reference.alembic_version"
    assert await owner.fetchval(reference) == "0001"
    await run(own)
    assert (await revisions(owner, tenants), await owner.fetchval(reference)) == (["0002", "0002"], "0002")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"only": ("nobody",)}, UnknownTenantSlug),
        ({"exclude": ("nobody",)}, UnknownTenantSlug),
        ({"canaries": ("nobody",)}, UnknownTenantSlug),
        ({"target": "0815"}, UnknownRevision),
        ({"target": "+7"}, UnknownRevision),
    ],
)
async def test_what_does_not_exist_is_refused_before_anything_is_touched(
    own: Settings, owner: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    tenants = await provision(own, 1)
    add(own, "0002_colour", ADD_COLUMN)
    runs = await owner.fetchval("SELECT count(*) FROM platform.fleet_runs")
    with pytest.raises(error):
        await run(own, **options)
    assert await revisions(owner, tenants) == ["0001"]
    assert await owner.fetchval("SELECT version_num FROM tenant_reference.alembic_version") == "0001"
    assert await owner.fetchval("SELECT count(*) FROM platform.fleet_runs") == runs


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE platform.tenants SET revision = '0099'", "The tenant t-"),
        ("UPDATE platform.alembic_version SET version_num = '0099'", "The platform"),
        ("UPDATE tenant_reference.alembic_version SET version_num = '0099'", "The reference schema"),
    ],
)
async def test_a_database_that_is_newer_than_the_code_is_left_alone(
    own: Settings, owner: Any, sql: str, what: str
) -> None:
    await provision(own, 1)
    add(own, "0002_colour", ADD_COLUMN)
    await owner.execute(sql)
    with pytest.raises(DatabaseNewer, match=rf"^{what}.* stands at revision 0099, which this code does not know"):
        await run(own)


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(own: Settings, owner: Any) -> None:
    tenants = await provision(own, 3)
    add(own, "0002_colour", ADD_COLUMN)
    plan = await fleet_run(own, RunOptions(canaries=(tenants[2].slug,), wave=1)).plan()
    assert [(wave.name, [tenant.slug for tenant in wave.tenants]) for wave in plan.waves] == [
        ("canaries", [tenants[2].slug]),
        ("wave 1", [tenants[0].slug]),
        ("wave 2", [tenants[1].slug]),
    ]
    assert [len(rendering.statements) for rendering in plan.renderings.values()] == [3]
    assert await revisions(owner, tenants) == ["0001"] * 3


@pytest.mark.parametrize("state", ["vacant", "suspended", "maintenance", "deleted"])
async def test_whoever_has_a_schema_is_migrated_and_who_is_being_purged_is_not(
    own: Settings, owner: Any, state: str
) -> None:
    tenants = await provision(own, 2)
    await owner.execute("UPDATE platform.tenants SET state = $2 WHERE id = $1", tenants[0].id, state)
    await owner.execute("UPDATE platform.tenants SET state = 'purging' WHERE id = $1", tenants[1].id)
    add(own, "0002_colour", ADD_COLUMN)
    summary = await run(own)
    assert (summary.fleet, summary.planned) == (1, 1)
    assert await revisions(owner, tenants) == ["0002", "0001"]
