"""URLs that are missing, closed, swapped, or lead elsewhere are found, each by its setting."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from tests.integration.doctor.conftest import examined, the_only

Change = Callable[[str], str]
_CASES: dict[str, tuple[str, str, Change | None, str]] = {
    # code: the setting, the one whose URL it is made of, how, and what is said
    "direct-url-missing": ("direct_url", "", None, "LEASEHOLD_DIRECT_URL is not set"),
    "owner-url-missing": ("owner_url", "", None, "LEASEHOLD_OWNER_URL is not set"),
    "url-wrong-login": ("direct_url", "owner_url", lambda url: url, "LEASEHOLD_DIRECT_URL logs in as lh_owner, not as"),
    "url-elsewhere": (
        "owner_url",
        "owner_url",
        lambda url: url.rpartition("/")[0] + "/postgres",
        "LEASEHOLD_OWNER_URL leads to another server or database",
    ),
    "url-unreachable": (
        "owner_url",
        "owner_url",
        lambda url: url.replace("lh_owner:", "lh_owner:wrong-"),
        "LEASEHOLD_OWNER_URL cannot be opened: password authentication failed",
    ),
}
PLANTED_BY_URLS = {*_CASES, "database-read-only"}


@pytest.mark.parametrize("code", _CASES)
async def test_a_url_that_is_not_right_is_found(healthy: Settings, admin: Any, code: str) -> None:
    setting, source, change, says = _CASES[code]
    url = SecretStr(change(getattr(healthy, source).get_secret_value())) if change else None
    finding = the_only(await examined(healthy.model_copy(update={setting: url}), "urls"))
    assert finding.code == code
    assert says in finding.says


async def test_a_database_that_takes_no_writes_is_found(healthy: Settings, admin: Any) -> None:
    role = f'ALTER ROLE lh_owner IN DATABASE "{await admin.fetchval("SELECT current_database()")}"'
    await admin.execute(f"{role} SET default_transaction_read_only = on")
    try:
        finding = the_only(await examined(healthy, "urls"))
    finally:
        await admin.execute(f"{role} RESET default_transaction_read_only")
    assert (finding.code, finding.says) == (
        "database-read-only",
        "LEASEHOLD_OWNER_URL leads to where nothing can be written.",
    )


async def test_without_the_database_nothing_else_is_asked(healthy: Settings) -> None:
    nowhere = SecretStr("postgresql://lh_app:secret-word@127.0.0.1:1/leasehold")
    report = await examined(healthy.model_copy(update={"database_url": nowhere}))
    assert (report.checked, the_only(report).code, len(report.left_out)) == (["urls"], "url-unreachable", 15)
    assert "secret-word" not in the_only(report).says
