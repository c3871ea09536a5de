"""The faults of `just faults` that take least, in their short form: what is promised of each is held."""

from dataclasses import replace

import pytest

from faults.installation import Installation, make_installation
from faults.kinds import ALL
from faults.page import PAGE
from faults.trial import try_fault

SHORT = [fault for fault in ALL if fault.is_in_short_form]


@pytest.fixture(scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation on a PostgreSQL of its own."""
    return await make_installation(tmp_path_factory.mktemp("faults"), tenants=3)


async def test_what_is_promised_under_failure_is_held(installation: Installation) -> None:
    """One after the other, in one test: each of them has the machine for itself, as far as there is one."""
    for fault in SHORT:
        if fault.why_not() is None:
            outcome = await try_fault(fault, installation, is_short=True)
            assert outcome.broken == {}, f"{fault.name}: {outcome.words} {outcome.notes}"
            assert outcome.verdict.acknowledged > 20, fault.name


async def test_a_database_that_forgets_what_it_has_acknowledged_is_found_out(installation: Installation) -> None:
    """The counterpart, without which nothing would tell that losses are seen at all."""
    killed = next(fault for fault in ALL if fault.name == "postgresql-killed")
    forgetful = replace(killed, parameters={"synchronous_commit": "off", "wal_writer_delay": "10s"})
    outcome = await try_fault(forgetful, installation, is_short=True)
    assert outcome.verdict.lost > 0


def test_every_fault_has_its_promise_and_its_figures_in_the_documentation() -> None:
    lines = PAGE.read_text().splitlines()
    assert [fault.name for fault in ALL if f"| `{fault.name}` | {fault.expected} |" not in lines] == []
    figures = [line for line in lines if line.count("|") > 10]
    assert [fault.name for fault in ALL if not any(f"| `{fault.name}` |" in line for line in figures)] == []
    assert len({fault.name for fault in ALL}) == len(ALL) >= 20
