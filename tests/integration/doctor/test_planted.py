"""Every kind of finding is planted in a real database, and seen."""

from typing import Any

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.doctor.examination import KINDS
from tests.integration.doctor.conftest import examined, examined_on
from tests.integration.doctor.plants import HARMLESS, PLANTS, Plant
from tests.integration.doctor.test_backups import PLANTED_IN_STORES
from tests.integration.doctor.test_own_server import PLANTED_ALONE
from tests.integration.doctor.test_pooler import PLANTED_BY_POOLERS
from tests.integration.doctor.test_quota_store import PLANTED_IN_VALKEY
from tests.integration.doctor.test_urls import PLANTED_BY_URLS

PLANTED_BY_SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "connections-too-few": ("capacity", {"pool_size": 500, "workers": 64}),
    "prepared-statements-off": ("pooler", {"prepared_statements": False}),
    "vacancies-few": ("lives", {"vacancies": 3}),
    "installation-key-wrong": ("secrets", {"installation_key": InstallationKey.generate()}),
}


async def _plant(admin: Any, sql: str) -> None:
    row = await admin.fetchrow("SELECT schema_name, role_name, revision FROM platform.tenants WHERE slug = 'acme'")
    database = await admin.fetchval("SELECT current_database()")
    await admin.execute("SET LOCAL search_path = pg_catalog, pg_temp")
    await admin.execute(
        sql.format(acme=row["schema_name"], role=row["role_name"], database=database, head=row["revision"])
    )


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.code)
async def test_what_is_planted_is_found(healthy: Settings, in_vain: Any, plant: Plant) -> None:
    await _plant(in_vain, plant.sql)
    report = await examined_on(in_vain, healthy, plant.check)
    found = {finding.code: finding.says for finding in report.findings}
    assert set(found) == {plant.code} | plant.others
    assert plant.says in found[plant.code]


@pytest.mark.parametrize(("check", "sql"), HARMLESS)
async def test_what_is_usual_is_no_finding(healthy: Settings, in_vain: Any, check: str, sql: str) -> None:
    await _plant(in_vain, sql)
    found = (await examined_on(in_vain, healthy, check)).findings
    assert [finding.code for finding in found if finding.severity == "problem"] == []
    assert {finding.code for finding in found} <= {"tenants-behind"}


@pytest.mark.parametrize("code", PLANTED_BY_SETTINGS)
async def test_settings_that_do_not_fit_are_found(healthy: Settings, admin: Any, code: str) -> None:
    check, given = PLANTED_BY_SETTINGS[code]
    update = {name: SecretStr(value) if isinstance(value, str) else value for name, value in given.items()}
    report = await examined(healthy.model_copy(update=update), check)
    assert [finding.code for finding in report.findings] == [code]


async def test_an_unfinished_change_of_the_installation_key_is_found(healthy: Settings, admin: Any) -> None:
    update = {
        "installation_key": SecretStr(InstallationKey.generate(demo=True)),
        "former_installation_key": healthy.installation_key,
    }
    report = await examined(healthy.model_copy(update=update), "secrets")
    assert [finding.code for finding in report.findings] == ["installation-key-demo", "installation-key-unfinished"]


async def test_nothing_is_asked_once_per_tenant(healthy: Settings, in_vain: Any) -> None:
    """300 more tenants, and not one question more."""
    asked: list[int] = []
    for tenants in (0, 300):
        await in_vain.execute(
            "INSERT INTO platform.tenants (id, slug, name, schema_name, role_name, state, revision, created_at, "
            "updated_at) SELECT gen_random_uuid(), 'x' || n, 'x', 'x' || n, 'x' || n, 'active', 'next', now(), now() "
            f"FROM generate_series(1, {tenants}) n"
        )
        queries: list[object] = []
        in_vain.add_query_logger(queries.append)
        report = await examined_on(in_vain, healthy)
        in_vain.remove_query_logger(queries.append)
        asked.append(len(queries))
    assert "tenant-schema-missing" in {finding.code for finding in report.findings}
    # The driver asks for what it does not know yet of types the first time.
    assert 20 < asked[1] <= asked[0]


def test_every_kind_of_finding_is_planted() -> None:
    planted = {plant.code for plant in PLANTS} | set(PLANTED_BY_SETTINGS) | PLANTED_ALONE
    planted |= PLANTED_BY_POOLERS | PLANTED_BY_URLS | {"installation-key-demo", "installation-key-unfinished"}
    planted |= PLANTED_IN_VALKEY | PLANTED_IN_STORES
    assert {kind.code for kind in KINDS} == planted
    assert len({kind.code for kind in KINDS}) == len(KINDS)
