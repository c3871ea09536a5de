"""What the doctor finds about backups is planted in a store of its own."""

from pathlib import Path
from typing import Any

import pytest

from leasehold.config import Settings
from tests.integration.doctor.conftest import examined, the_only, write_run

PLANTED_IN_STORES = frozenset({"backups-nowhere", "backups-unusable", "backups-never", "backups-old", "backups-failed"})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store"


@pytest.fixture
def elsewhere(healthy: Settings, admin: Any, url: str) -> Settings:
    """The installation with an empty store."""
    return healthy.model_copy(update={"backup_url": url})


async def test_that_there_is_no_place_for_backups_is_a_hint(healthy: Settings, admin: Any) -> None:
    report = await examined(healthy.model_copy(update={"backup_url": None}), "backups")
    assert (the_only(report).code, report.problems, report.warnings) == ("backups-nowhere", 0, 0)


async def test_a_store_that_cannot_be_used_is_found(elsewhere: Settings) -> None:
    nowhere = elsewhere.model_copy(update={"backup_url": "file:///proc/nowhere"})
    found = the_only(await examined(nowhere, "backups"))
    assert (found.code, found.severity) == ("backups-unusable", "problem")
    assert "The backup store file:///proc/nowhere cannot be used" in found.says
    silent = elsewhere.model_copy(update={"backup_passphrase": None})
    assert "Backups need a passphrase" in the_only(await examined(silent, "backups")).says


async def test_that_no_run_has_ever_ended_well_is_found(elsewhere: Settings, url: str) -> None:
    assert the_only(await examined(elsewhere, "backups")).code == "backups-never"
    write_run(url, is_whole=False)
    assert the_only(await examined(elsewhere, "backups")).code == "backups-never"


async def test_a_last_run_that_is_too_old_is_found(elsewhere: Settings, url: str) -> None:
    write_run(url, hours_ago=35)
    assert (await examined(elsewhere, "backups")).findings == []
    write_run(url, hours_ago=1, is_whole=False)
    assert (await examined(elsewhere, "backups")).findings == []


async def test_a_run_of_two_days_ago_is_too_old(elsewhere: Settings, url: str) -> None:
    write_run(url, hours_ago=48.5)
    found = the_only(await examined(elsewhere, "backups"))
    assert (found.code, found.severity) == ("backups-old", "problem")
    assert found.says == "The last run of backups in which nothing failed is 48 hours old."


async def test_failures_of_the_last_run_are_found_and_those_before_a_good_one_are_not(
    elsewhere: Settings, url: str
) -> None:
    write_run(url, hours_ago=30)
    write_run(url, hours_ago=3, failed=2)
    found = the_only(await examined(elsewhere, "backups"))
    assert found.code == "backups-failed"
    assert found.says.endswith("2 failed or were not tried: acme: it is being migrated; acme: it is being migrated")
    write_run(url, hours_ago=1)
    assert (await examined(elsewhere, "backups")).findings == []
