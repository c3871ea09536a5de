"""The figures of the installation: what the database says of all tenants, remembered, and honest about its age."""

from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import Database, driver_url, open_engine
from leasehold.core.figures import Family
from leasehold.core.ids import new_id
from leasehold.platform.figures import service
from leasehold.platform.figures.service import InstallationFigures
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef

_AGE = "leasehold_installation_figures_age_seconds"
_JOB = """
INSERT INTO platform.jobs (id, tenant_id, name, arguments, priority, state, max_attempts, run_at)
VALUES (gen_random_uuid(), NULL, 'observed', '{}', 0, $1, 1, now() - make_interval(secs => $2))
"""
_RUN = """
INSERT INTO platform.fleet_runs (id, kind, target, host, pid, planned, started_at, finished_at, outcome)
VALUES ($1, 'upgrade', 'head', 'observed', 1, 0, now(), now(), $2)
"""


@pytest.fixture
async def owner(settings: Settings) -> AsyncGenerator[Any]:
    """A connection of the owner, who may write anything; its jobs are gone at the end."""
    assert settings.owner_url is not None
    connection: Any = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    yield connection
    await connection.execute("DELETE FROM platform.jobs WHERE name = 'observed'")
    await connection.execute("DELETE FROM platform.fleet_runs WHERE host = 'observed'")
    await connection.close()


def _figures(process: Process, monkeypatch: pytest.MonkeyPatch) -> InstallationFigures:
    monkeypatch.setattr(service, "_FRESH_S", 0.0)
    return InstallationFigures(process.database, head=process.window.head, vacancies=3)


def _values(families: list[Family]) -> dict[str, float]:
    return {
        " ".join((family.name, *sample.labels)): sample.values[0] for family in families for sample in family.samples
    }


async def test_jobs_tenants_and_vacancies_are_counted(
    process: Process, acme: TenantRef, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = _figures(process, monkeypatch)
    before = _values(await figures.families())
    for state, seconds in (("ready", 900_000.0), ("delayed", 950_000.0), ("dead", 2_000_000.0), ("dead", 1.0)):
        await owner.execute(_JOB, state, seconds)
    await owner.execute("UPDATE platform.tenants SET revision = '0001' WHERE id = $1", acme.id)
    after = _values(await figures.families())
    await owner.execute("UPDATE platform.tenants SET revision = $2 WHERE id = $1", acme.id, acme.revision)
    grown = {name: after[name] - before[name] for name in after if name.startswith("leasehold_jobs ")}
    assert grown == {
        "leasehold_jobs ready": 1,
        "leasehold_jobs delayed": 1,
        "leasehold_jobs running": 0,
        "leasehold_jobs dead": 2,
    }
    # The one whose time has come counts, too: no worker was there to find that out.
    assert 950_000 <= after["leasehold_jobs_oldest_seconds"] < 960_000
    assert after["leasehold_tenants_behind"] - before["leasehold_tenants_behind"] == 1
    assert after["leasehold_tenants active"] >= 1
    assert after["leasehold_vacancies_wanted"] == 3
    assert after["leasehold_migration_running"] == 0


@pytest.mark.parametrize(("outcome", "succeeded"), [("succeeded", 1), ("failed", 0)])
async def test_it_is_told_how_the_last_run_over_the_fleet_ended(
    process: Process, owner: Any, monkeypatch: pytest.MonkeyPatch, outcome: str, succeeded: int
) -> None:
    await owner.execute(_RUN, new_id(), outcome)
    found = _values(await _figures(process, monkeypatch).families())
    assert found["leasehold_migration_succeeded"] == succeeded


async def test_while_the_database_is_away_the_last_figures_are_told_with_their_age(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = _figures(process, monkeypatch)
    known = _values(await figures.families())

    url = "postgresql://nobody:nothing@127.0.0.1:1/nowhere"
    away = Database(open_engine(url, pool_size=1), tenant_roles=True)
    figures._database = away
    later = _values(await figures.families())
    assert later.pop(_AGE) > known.pop(_AGE)
    assert later == known
    assert await InstallationFigures(away, head="x", vacancies=0).families() == []
