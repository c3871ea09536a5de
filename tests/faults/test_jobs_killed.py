"""Whoever is killed, each job of a committed transaction runs, no other does, and what is done once is done once.

Workers are killed and stand still, who asks is killed in an open transaction, and PostgreSQL crashes meanwhile.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import installed, migrate
from tests.factories import new_slug
from tests.faults.crashes import OwnServer, own_server
from tests.faults.working import Crew, Journal, Outcome, outcome_of
from tests.fleets import provision

WORKERS = 3
_UNFINISHED = "SELECT name, state, attempts, error FROM platform.jobs WHERE name LIKE 'faults.%'"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done, and how many times somebody is killed meanwhile."""

    jobs: int
    tenants: int
    askers: int
    faults: int
    pause_s: float
    """Between two faults, at most."""
    within_s: float
    """Of which the rest is done when the faults are over."""


SHORT = Scale(jobs=600, tenants=10, askers=2, faults=9, pause_s=0.8, within_s=180)
LONG = Scale(jobs=10_000, tenants=50, askers=20, faults=120, pause_s=3.0, within_s=600)
SCALE = LONG if os.environ.get("LEASEHOLD_TEST_LONG") else SHORT


@pytest.fixture
def server(tmp_path: Path) -> Generator[OwnServer]:
    with own_server(tmp_path / "postgres") as made:
        yield made


@pytest.fixture
def crew(server: OwnServer, tmp_path: Path) -> Generator[Crew]:
    with installed(server.admin_url, f"leasehold_faults_{new_slug()[2:]}") as settings:
        migrate(settings)
        asyncio.run(provision(settings, SCALE.tenants))
        yield Crew(settings, tmp_path)


async def test_each_committed_job_runs_and_no_other_whoever_is_killed(crew: Crew, server: OwnServer) -> None:
    dice = random.Random(1)
    async with crew.working(WORKERS):
        async with asyncio.TaskGroup() as group:
            faulting = group.create_task(_do_faults(crew, server, dice))
            asking = group.create_task(_ask(crew, faulting))
        left = len(await _unfinished(crew))
        await _all_done(crew)
    journal, faults = asking.result(), faulting.result()
    outcome = await outcome_of(crew)

    _tell(crew, journal, faults, outcome, left=left)
    assert not outcome.missing
    assert not outcome.twice
    assert not outcome.unasked
    assert journal.numbers["committed"] <= outcome.asked
    assert outcome.asked <= journal.numbers["committed"] | journal.numbers["lost"]
    assert len(journal.numbers["committed"]) >= SCALE.jobs
    assert journal.numbers["rolled_back"]
    assert journal.numbers["hanging"]
    assert "Traceback" not in crew.complaints


def _tell(crew: Crew, journal: Journal, faults: Counter[str], outcome: Outcome, *, left: int) -> None:
    """Print the figures, for `pytest -rP`."""
    lines = [
        f"{len(outcome.asked):,} jobs in {SCALE.tenants} tenants; {left:,} were left after the last fault",
        f"faults: {dict(faults)}; starts of workers: {crew.starts}, ends by status: {dict(crew.ends)}",
        f"jobs by what became of their transaction: { {fate: len(told) for fate, told in journal.numbers.items()} }",
        f"missing {len(outcome.missing)}, twice {len(outcome.twice)}, unasked {len(outcome.unasked)}",
        f"called more than once where that is allowed: {outcome.called_again}",
    ]
    sys.stdout.write("\n".join(["", *lines, ""]))


async def _ask(crew: Crew, faulting: asyncio.Task[Counter[str]]) -> Journal:
    """Let one process after another ask for its share, each of which is killed in an open transaction.

    More of them ask where faults take longer, so that each of these meets some work.
    """
    told: dict[str, set[int]] = {}
    first = 0
    for seed in count():
        if seed >= SCALE.askers and faulting.done():
            break
        journal = await crew.ask(first=first, wanted=SCALE.jobs // SCALE.askers + 1, seed=seed)
        first = journal.next
        told = {fate: told.get(fate, set()) | numbers for fate, numbers in journal.numbers.items()}
    return Journal(told)


async def _do_faults(crew: Crew, server: OwnServer, dice: random.Random) -> Counter[str]:
    done: Counter[str] = Counter()
    for number in range(SCALE.faults):
        await asyncio.sleep(dice.uniform(0.2, SCALE.pause_s))
        await crew.until_at_work()
        if number % 10 == 3:
            fault = "server crashed"
            await asyncio.to_thread(server.crash)
        elif number % 10 == 8:
            fault = "backend killed"
            await crew.kill_a_backend()
        elif number % 10 == 5:
            fault = "worker stood still"
            await crew.stop_a_worker(dice)
        else:
            fault = "worker killed"
            await crew.kill_a_worker(dice)
        done[fault] += 1
    return done


async def _unfinished(crew: Crew) -> list[str]:
    return [str(dict(row)) for row in await crew.fetch(_UNFINISHED)]


async def _all_done(crew: Crew) -> None:
    try:
        async with asyncio.timeout(SCALE.within_s):
            while await _unfinished(crew):
                await asyncio.sleep(0.2)
    except TimeoutError:
        pytest.fail("\n".join(["still there:", *await _unfinished(crew)]))
