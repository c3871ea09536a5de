"""The doctor finds nothing in an installation that is well, and asks no more of it the more tenants it has."""

from typing import Any

from leasehold.config import Settings
from tests.integration.doctor.conftest import examined, the_only


async def test_a_healthy_installation_gives_no_finding(healthy: Settings, admin: Any) -> None:
    report = await examined(healthy)
    assert (report.findings, report.left_out) == ([], [])
    assert len(report.checked) == 16


async def test_a_deep_examination_looks_into_every_tenant(healthy: Settings, admin: Any) -> None:
    schemas = await admin.fetch("SELECT schema_name FROM platform.tenants ORDER BY id DESC LIMIT 1")
    await admin.execute(f'ALTER TABLE "{schemas[0][0]}".items ADD COLUMN by_hand text')
    try:
        found = the_only(await examined(healthy, "shapes", is_deep=True))
    finally:
        await admin.execute(f'ALTER TABLE "{schemas[0][0]}".items DROP COLUMN by_hand')
    assert found.says == "The schemas of 1 of 2 tenants do not look as the migrations make them: globex."
