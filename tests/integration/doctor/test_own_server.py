"""Findings about the server and the roles that all its databases share, on a server of these tests alone."""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.clock import utc_now
from leasehold.core.vault import InstallationKey
from leasehold.embedded import EmbeddedPostgres
from leasehold.tenancy.doctor.examination import examine
from leasehold.tenancy.install import install, with_login
from tests.integration.doctor.conftest import examined, examined_on, site_of

_PARAMETERS = {"fsync": "off", "max_connections": "60", "max_locks_per_transaction": "10"}
_ROLE = "lh_t_0123456789abcdef0123456789abcdef"
_BY_SQL = {
    "role-missing": ("ALTER ROLE lh_tenant RENAME TO lh_gone", "There is no role lh_tenant."),
    "role-too-mighty": ("ALTER ROLE lh_app SUPERUSER CREATEDB", "The role lh_app has CREATEDB, SUPERUSER:"),
    "role-lacks": ("ALTER ROLE lh_owner NOCREATEROLE", "The role lh_owner lacks CREATEROLE."),
    "app-inherits": (f"CREATE ROLE {_ROLE}; GRANT {_ROLE} TO lh_app WITH INHERIT TRUE", f"on: {_ROLE}."),
    "app-is-member": ("GRANT pg_read_all_data TO lh_app WITH INHERIT FALSE", "no tenant's: pg_read_all_data."),
    "owner-cannot-grant": ("REVOKE ADMIN OPTION FOR lh_tenant FROM lh_owner", "may not grant lh_tenant"),
}
_BY_CODE: dict[str, tuple[dict[str, Any], str]] = {
    "server-too-old": ({"majors": range(90, 99)}, "needs 90 or newer"),
    "server-untested": ({"majors": range(9, 12)}, "tested on none newer than 11"),
    "clock-differs": ({"now": lambda: utc_now() - timedelta(seconds=90)}, "is 90 seconds behind that of"),
}
PLANTED_ALONE = {*_BY_SQL, *_BY_CODE, "locks-too-few"}


@dataclass(frozen=True, slots=True)
class Alone:
    """An installation whose shared schema is not migrated yet, and the URL of its administrator."""

    settings: Settings
    admin_url: str


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Generator[Alone]:
    folder = tmp_path_factory.mktemp("alone")
    with EmbeddedPostgres(folder / "postgres", parameters=_PARAMETERS) as admin_url:
        asyncio.run(install(admin_url, database="alone", owner_password="o", app_password="a", keep_passwords=False))
        app_url = SecretStr(with_login(admin_url, user="lh_app", password="a", database="alone"))
        settings = Settings(
            database_url=app_url,
            direct_url=app_url,
            owner_url=SecretStr(with_login(admin_url, user="lh_owner", password="o", database="alone")),
            installation_key=SecretStr(InstallationKey.generate()),
        )
        yield Alone(settings, admin_url)


async def test_a_new_installation_lacks_but_its_migration(alone: Alone) -> None:
    report = await examined(alone.settings)
    assert [finding.code for finding in report.findings] == ["platform-not-migrated", "locks-too-few"]
    assert report.left_out == ["secrets", "tenant-roles", "shapes", "runs", "jobs", "lives", "backups"]
    assert report.findings[1].says.startswith("max_locks_per_transaction is 10;")


@pytest.mark.parametrize("code", _BY_SQL)
async def test_a_role_that_is_not_as_it_was_made_is_found(alone: Alone, code: str) -> None:
    statement, says = _BY_SQL[code]
    admin = await asyncpg.connect(alone.admin_url.rpartition("/")[0] + "/alone")
    transaction = admin.transaction()
    await transaction.start()
    try:
        await admin.execute(statement)
        report = await examined_on(admin, alone.settings, "roles")
    finally:
        await transaction.rollback()
        await admin.close()
    (finding,) = report.findings
    assert (finding.code, says in finding.says) == (code, True)


@pytest.mark.parametrize("code", _BY_CODE)
async def test_what_the_code_does_not_go_with_is_found(alone: Alone, code: str) -> None:
    update, says = _BY_CODE[code]
    async with site_of(alone.settings) as site:
        report = await examine(replace(site, code=replace(site.code, **update)), ["server"])
    (finding,) = report.findings
    assert (finding.code, says in finding.says) == (code, True)
