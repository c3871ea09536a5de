"""What must be so of a fleet at any moment, and what is waited for while faults are done to it."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from leasehold.tenancy.fleet.fingerprint import describe, describe_all
from leasehold.tenancy.fleet.replay import SchemaTarget
from leasehold.tenancy.names import REFERENCE_SCHEMA, literal, quoted, reference_role
from tests.faults.migrating import HEAD, Fleet, Run

T = TypeVar("T")

_CONCURRENT = {"0002": "0003", "0004": "0005"}
"""After which revision indexes are made and dropped outside a transaction, and the revision that then is reached."""
_ITEM = {
    "0001": "Desk",
    "0002": "Desk! grey",
    "0003": "Desk! grey",
    "0004": "Desk! grey+",
    "0005": "Desk! grey+",
    "0006": "Desk!? grey+",
}
"""What each of the two items says at each revision."""
# Not who waits for a role, which all databases of a server share: tests of other workers hold those for a moment.
_BACKENDS = """
SELECT pid, wait_event_type = 'Lock' AND wait_event <> 'object' AS waits, query FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'leasehold-run-%'
"""


@dataclass(frozen=True, slots=True)
class Member:
    """A tenant of the fleet."""

    id: UUID
    slug: str
    revision: str
    target: SchemaTarget

    @property
    def items(self) -> str:
        """The table of items, as SQL names it."""
        return f"{quoted(self.target.schema)}.items"


async def members(owner: Any) -> list[Member]:
    """Return all tenants in the order of a run."""
    rows = await owner.fetch("SELECT id, slug, revision, schema_name, role_name FROM platform.tenants ORDER BY id")
    return [
        Member(row["id"], row["slug"], row["revision"], SchemaTarget(row["schema_name"], row["role_name"]))
        for row in rows
    ]


async def demand_agreement(owner: Any) -> None:
    """Demand that registry, schemas and ledger agree at this moment, whatever is going on.

    A success is written down once, and for no tenant that does not stand where it says, or further.
    """
    async with owner.transaction(isolation="repeatable_read", readonly=True):
        tenants = await members(owner)
        one = "SELECT {id}::uuid, version_num::text FROM {schema}.alembic_version"
        parts = [one.format(id=literal(str(each.id)), schema=quoted(each.target.schema)) for each in tenants]
        own = dict(await owner.fetch(" UNION ALL ".join(parts)))
        successes = await owner.fetch("SELECT tenant_id, target FROM platform.fleet_results WHERE error IS NULL")
    differing = [tenant for tenant in tenants if own[tenant.id] != tenant.revision]
    assert not differing, f"the registry says {differing}, the schemas {[own[tenant.id] for tenant in differing]}"
    untrue = [row for row in successes if row["target"] > own[row["tenant_id"]]]
    assert not untrue, f"the ledger says {untrue}"
    doubled = [row for row, times in Counter(successes).items() if times > 1]
    assert not doubled, f"the ledger says more than once {doubled}"


async def demand_whole_schemas(fleet: Fleet, owner: Any) -> None:
    """Demand that each schema looks as the migrations make it, and each revision was applied once to its rows.

    Where the next revision makes or drops indexes outside a transaction, they may be there or not, or be invalid.
    """
    tenants = await members(owner)
    found = await describe_all(owner, [tenant.target for tenant in tenants])
    for tenant in tenants:
        expected = fleet.shapes[tenant.revision]
        between = expected ^ fleet.shapes[_CONCURRENT.get(tenant.revision, tenant.revision)]
        between |= {f"{line} invalid" for line in between}
        differs = (expected ^ frozenset(found[tenant.target.schema])) - between
        assert not differs, f"{tenant.target.schema} at {tenant.revision}: {sorted(differs)}"
        rows = await owner.fetch(f"SELECT to_jsonb(i) AS item FROM {tenant.items} i")
        items = [json.loads(row["item"]) for row in rows]
        said = [" ".join(filter(None, (item["title"], item.get("colour")))) for item in items]
        wanted = [_ITEM[min(tenant.revision, HEAD)]] * 2
        assert said == wanted, f"{tenant.target.schema} at {tenant.revision}: {said}"


async def demand_head(fleet: Fleet, owner: Any, *, head: str = HEAD) -> None:
    """Demand that every tenant is at head, as if nothing had been in the way."""
    await quiet(owner)
    await demand_agreement(owner)
    behind = [tenant for tenant in await members(owner) if tenant.revision != head]
    assert not behind, behind
    await demand_whole_schemas(fleet, owner)
    role = reference_role(await owner.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()"))
    assert frozenset(await describe(owner, SchemaTarget(REFERENCE_SCHEMA, role))) == fleet.shapes[head]


async def backends(owner: Any) -> list[int]:
    """Return the backends of all runs."""
    return [row["pid"] for row in await owner.fetch(_BACKENDS)]


async def waiting(owner: Any, statement: str = "") -> list[int]:
    """Wait until a backend of a run waits for a lock, in a statement with this text, and return all that do."""

    async def found() -> list[int]:
        rows = await owner.fetch(_BACKENDS)
        return [row["pid"] for row in rows if row["waits"] and statement in row["query"]]

    return await eventually(found)


async def quiet(owner: Any) -> None:
    """Wait until no backend of a run is left: one that computes or waits does not notice that its client is dead."""

    async def is_quiet() -> bool:
        return not await backends(owner)

    await eventually(is_quiet)


async def gone(owner: Any, backend: int) -> None:
    """Wait until a backend has ended."""

    async def is_gone() -> bool:
        return backend not in await backends(owner)

    await eventually(is_gone)


async def lease_of(owner: Any, run: Run) -> Any:
    """Wait until a run has taken the lease, and return that; None if the run has ended before."""
    async with asyncio.timeout(180):
        while not run.has_ended:
            row = await owner.fetchrow("SELECT * FROM platform.fleet_leases WHERE pid = $1", run.pid)
            if row is not None:
                return row
            await asyncio.sleep(0.01)
    return None


async def eventually(question: Callable[[], Awaitable[T]], *, timeout_s: float = 180) -> T:
    """Ask until the answer is true, and return it.

    The time is ample, for much of what is waited for begins with the start of a process, on a machine that is busy.
    """
    async with asyncio.timeout(timeout_s):
        while not (answer := await question()):
            await asyncio.sleep(0.01)
        return answer
