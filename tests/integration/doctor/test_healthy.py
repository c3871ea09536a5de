"""The doctor finds nothing in an installation that is well, and asks no more of it the more tenants it has."""

from typing import Any

from leasehold.config import Settings
from tests.integration.doctor.conftest import examined


async def test_a_healthy_installation_gives_no_finding(healthy: Settings, admin: Any) -> None:
    report = await examined(healthy)
    assert (report.findings, report.left_out) == ([], [])
    assert len(report.checked) == 14
