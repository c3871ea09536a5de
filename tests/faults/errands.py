"""Jobs whose effects can be counted, for workers that are killed while they run them.

Each names its tenant, so that an effect in another tenant's place is seen, and waits a little on both sides of its
effect, so that a worker may die before it, behind it, or in the midst of the words that tick the job off.
"""

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from msgspec import Struct
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert

from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import tenant_job
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.workspace.items.models import Item
from leasehold.workspace.items.schemas import ItemCreate
from leasehold.workspace.items.service import ItemService

FOLDER = "LEASEHOLD_TEST_ERRANDS"
"""The environment variable that names the folder of the files."""
_MOST_S = 0.2
_MANY = 100
"""Attempts: workers die more often here than anywhere else."""


class Errand(Struct, frozen=True):
    """What is to be done, by its number, and for whom."""

    number: int
    slug: str
    failures: int = 0
    """How many attempts fail behind their effect."""

    @property
    def effect(self) -> str:
        """The title of the item, or the name of the file, that is there once it was done."""
        return f"done {self.slug} {self.number}"


class Failed(RuntimeError):
    """The attempt fails, as it was told to."""


@tenant_job("faults.write", max_attempts=_MANY)
async def write(errand: Errand, session: TenantSession, job: ClaimedJob) -> None:
    """Make an item, in the transaction that also ticks the job off: exactly once."""
    await _while_away()
    await ItemService(session=session).add(ItemCreate(errand.effect))
    await _while_away()
    if job.attempt <= errand.failures:
        raise Failed


@tenant_job("faults.pass_on", max_attempts=_MANY)
async def pass_on(errand: Errand, session: TenantSession) -> None:
    """Ask for the same to be written by another job: exactly once, for it is asked in this one's transaction."""
    await _while_away()
    await enqueue(session, write, errand)
    await _while_away()


@tenant_job("faults.put", max_attempts=_MANY)
async def put(
    errand: Errand, open_session: Callable[[], AbstractAsyncContextManager[TenantSession]], job: ClaimedJob
) -> None:
    """Make an item in a transaction of its own, which may happen again; the item's id is always the same."""
    item_id = uuid5(NAMESPACE_OID, errand.effect)
    async with open_session() as session:
        row = {"id": item_id, "title": errand.effect, "created_at": func.now(), "updated_at": func.now()}
        await session.execute(insert(Item).values(row).on_conflict_do_nothing())
    await _while_away()
    if job.attempt <= errand.failures:
        raise Failed


@tenant_job("faults.touch", max_attempts=_MANY)
async def touch(errand: Errand, tenant: TenantRef, job: ClaimedJob) -> None:
    """Add a byte to a file, which has as many as there were calls; that it is there is the effect."""
    assert tenant.slug == errand.slug
    await _while_away()
    with (Path(os.environ[FOLDER]) / errand.effect).open("ab") as file:
        file.write(b".")
    await _while_away()
    if job.attempt <= errand.failures:
        raise Failed


ERRANDS = (write, pass_on, put, touch)


async def _while_away() -> None:
    await asyncio.sleep(random.uniform(0, _MOST_S))
