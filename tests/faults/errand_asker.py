"""`python -m tests.faults.errand_asker FIRST WANTED SEED`: asks for errands in transactions of tenants.

Each transaction makes an item that says what it asks for, so the database itself knows what was committed. Some are
rolled back. When so many errands are committed as were wanted, one more transaction is left open for ever: the process
is to be killed in it. What becomes of a transaction is told to standard output. One that finds no database
says so and ends with 2.
"""

import asyncio
import random
import sys
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from leasehold.cli.failures import sentence_of
from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.core.errors import Problem
from leasehold.core.log import configure_logging
from leasehold.main import build_process, running
from leasehold.process import Process
from leasehold.tenancy.bind import TenantSession, open_tenant_session
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.registry import Tenant, tenant_ref_by_slug
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService
from tests.faults.errands import Errand, pass_on, put, touch, write

KINDS = (write, write, write, write, pass_on, pass_on, put, put, touch, touch)
"""What errands do, by the last digit of their numbers."""


class RolledBack(Exception):
    """What is asked for is not wanted any more."""


async def ask(process: Process, tenants: Sequence[TenantRef], *, first: int, wanted: int, dice: random.Random) -> None:
    """Ask for errands from a number on until so many are committed, then hang in an open transaction."""
    committed = 0
    while True:
        tenant, numbers = dice.choice(tenants), range(first, first + dice.randint(1, 4))
        first = numbers.stop
        fate = "hanging" if committed >= wanted else dice.choices(("committed", "rolled_back"), (4, 1))[0]
        try:
            async with open_tenant_session(process.database, tenant) as session:
                for number in numbers:
                    await _ask_for(session, Errand(number, tenant.slug, failures=int(number % 7 == 0)))
                if fate == "rolled_back":
                    raise RolledBack
                if fate == "hanging":
                    _tell(fate, numbers)
                    await asyncio.Event().wait()
                await asyncio.sleep(dice.uniform(0, 0.01))
        except RolledBack:
            pass
        except (Problem, DBAPIError):
            # Perhaps it was committed nevertheless, and only the answer was lost.
            fate = "lost"
            await asyncio.sleep(0.2)
        _tell(fate, numbers)
        committed += len(numbers) if fate == "committed" else 0


async def _ask_for(session: TenantSession, errand: Errand) -> None:
    await ItemService(session=session).add(ItemCreate(f"asked {errand.slug} {errand.number}"))
    delay_s = 1.0 if errand.number % 11 == 0 else 0.0
    await enqueue(session, KINDS[errand.number % 10], errand, delay_s=delay_s)


def _tell(fate: str, numbers: range) -> None:
    sys.stdout.write(" ".join([fate, *map(str, numbers)]) + "\n")
    sys.stdout.flush()


async def _run(first: int, wanted: int, seed: int) -> None:
    process = build_process(Settings())  # pyright: ignore[reportCallIssue]
    async with running(process):
        async with platform_session(process.database) as session:
            active = select(Tenant.slug).where(Tenant.state == TenantState.ACTIVE).order_by(Tenant.slug)
            slugs = await session.scalars(active)
            tenants = [await tenant_ref_by_slug(session, slug) for slug in slugs.all()]
        await ask(process, tenants, first=first, wanted=wanted, dice=random.Random(seed))


if __name__ == "__main__":
    configure_logging(level="error", form="console", stream=sys.stderr)
    try:
        asyncio.run(_run(*map(int, sys.argv[1:])))
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        sys.stderr.write(f"{sentence}\n")
        sys.exit(2)
