"""Whoever is killed in an operation on a tenant leaves the old state or the new one, and the same again finishes it.

Each operation is done by a process of its own, to which a proxy in front of PostgreSQL does something at one of its
round trips: the process is killed, or its connection is ended, before PostgreSQL has what was asked or behind that.
What is compared is every row of the shared schema and of the tenant's.
"""

import asyncio
import json
import os
import random
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.tenancy.names import quoted
from tests.archives import PASSPHRASE
from tests.conftest import installed, migrate
from tests.factories import OPERATOR, new_slug, parts_of
from tests.faults.agreement import eventually
from tests.faults.operating import WANTED
from tests.integration.cli.shell import PROJECT
from tests.postgres_proxy import Strike, Traffic, proxy

SEED = int(os.environ.get("LEASEHOLD_TEST_SEED", "8"))
TIMES = int(os.environ.get("LEASEHOLD_TEST_TIMES", "1"))
"""How many round trips of each operation are struck, besides a COMMIT in each way."""

_WAYS = ("killed before", "killed behind", "ended before", "ended behind")
_REFUSED = 2
_SECRETS = ("database_url", "direct_url", "owner_url", "installation_key")
_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?|Z)?"), "TIME"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\\\\x[0-9a-f]+"), "BYTES"),
    (re.compile(r'"xact": \d+'), '"xact": X'),
)
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
   AND application_name <> 'striker'
"""

State = Counter[str]
"""Every row, as text."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done, and what it comes to."""

    does: str
    """The command; `T` is the slug of a tenant that is there, `N` one that is free."""
    writes: tuple[str, ...]
    """The events that it leaves in each of the logs."""
    again: str = ""
    """What is said to who does it once more, when it is done; nothing where that is as good as the first time."""
    before: tuple[str, ...] = ()
    """What was done before, in commands."""
    vacancies: bool = False
    """Whether there are vacancies before."""
    logs: tuple[str, ...] = ("platform", "tenant")
    beside: tuple[tuple[str, str], ...] = ()
    """The events that one log alone has afterwards, with the log."""
    asks_beside: bool = False
    """Whether it asks the worker for vacancies in another transaction. The worker looks each minute anyway."""
    in_steps: bool = False
    """Whether it is several transactions, each of which stands for itself."""
    goes_on: bool = False
    """Whether it is several transactions, of which the same again does the rest."""
    tells: bool = False
    """Whether it tells how far it is, before anything else."""


_PUT_BACK = ("tenants export T -o T.archive", "restore T --in-place --file T.archive")
OPERATIONS = {
    "build": Operation("tenants create N", ("tenant.provisioned",), "Another tenant has this slug", asks_beside=True),
    "claim": Operation(
        "tenants create N",
        ("tenant.provisioned",),
        "Another tenant has this slug",
        vacancies=True,
        asks_beside=True,
    ),
    "fill": Operation("fill", (), in_steps=True),
    "suspend": Operation("tenants suspend T", ("tenant.suspended",)),
    "resume": Operation("tenants resume T", ("tenant.resumed",), before=("tenants suspend T",)),
    "maintain": Operation("tenants maintain T --read-only", ("tenant.maintenance_began",)),
    "end maintenance": Operation(
        "tenants resume T", ("tenant.maintenance_ended",), before=("tenants maintain T --read-only",)
    ),
    "delete": Operation("tenants delete T --yes", ("tenant.deleted",), "The tenant is deleted"),
    "restore": Operation(
        "tenants restore T",
        ("tenant.restored",),
        "The tenant is suspended",
        ("tenants suspend T", "tenants delete T --yes"),
    ),
    # What the logs said of the tenant is said without its names afterwards.
    "purge": Operation(
        "tenants purge T --yes-really",
        ("tenant.deleted", "tenant.provisioned", "tenant.purge_requested", "tenant.purged"),
        "There is no tenant",
        ("tenants delete T --yes",),
        logs=("platform",),
        goes_on=True,
    ),
    "put back": Operation(
        "restore T --in-place --file T.archive",
        ("tenant.put_back",),
        "was put back already",
        ("tenants export T -o T.archive",),
        tells=True,
    ),
    "undo": Operation(
        "restores undo T",
        ("tenant.put_back_undone",),
        "has again what it had",
        before=_PUT_BACK,
        beside=(("tenant", "tenant.exported"),),  # which is not in the archive
    ),
    "confirm": Operation(
        "restores confirm T --yes",
        ("tenant.put_back_confirmed",),
        "was not put back",
        before=_PUT_BACK,
        beside=(("platform", "tenant.purged"),),
        goes_on=True,
    ),
    "rename": Operation("tenants rename T N", ("tenant.renamed",), "There is no tenant"),
    "add domain": Operation("tenants add-domain T T.example", ("tenant.domain_added",), "already belongs to a tenant"),
    "remove domain": Operation(
        "tenants remove-domain T T.example",
        ("tenant.domain_removed",),
        "There is no such thing",
        ("tenants add-domain T T.example",),
    ),
    "flag canary": Operation("tenants flag-canary T", ("tenant.canary_flagged",)),
    "plan": Operation("tenants plan T N", ("tenant.plan_changed",), before=("plans create N --limit items=5",)),
    "limit": Operation("tenants limit T items=7", ("tenant.limits_changed",)),
    "feature": Operation("tenants feature T bulk_import off", ("tenant.features_changed",)),
    "rate limit": Operation("tenants rate-limit T tenant=5/1m", ("tenant.rate_limits_changed",)),
    "new plan": Operation(
        "plans create N --limit items=5", ("plan.created",), "There is a plan of this name", logs=("platform",)
    ),
    "settings": Operation(
        "close-registration T", ("settings.registration_changed", "settings.if_match_required"), logs=("tenant",)
    ),
    "request": Operation("request-deletion T", ("deletion.requested",), logs=("tenant",)),
}


@dataclass(slots=True)
class Ended:
    """How a process ended."""

    status: int
    said: str


@dataclass
class Stage:
    """An installation, and somebody who does operations on it through a proxy."""

    admin: Any
    striker: Any
    """Another connection, for what is done meanwhile."""
    traffic: Traffic
    process: asyncio.subprocess.Process
    output: Path
    tenants: list[str]
    """The slugs of tenants to whom nothing has happened yet."""
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))

    async def do(self, command: str, slugs: dict[str, str], strike: "tuple[int, str] | None" = None) -> Ended:
        """Do an operation, and strike its n-th round trip; when this returns, nobody does anything any more."""
        words = [re.sub(r"\b[TN]\b", lambda found: slugs[found[0]], word) for word in command.split()]
        assert self.process.stdin is not None
        self.traffic.reset()
        child: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.traffic.strike = striking = self._strike(child, *strike) if strike else None
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        child.set_result(await self._number())
        async with asyncio.timeout(60):
            status = await self._number()
        if striking:
            async with asyncio.timeout(60):
                await striking.is_done.wait()
        await eventually(self._is_alone)
        return Ended(status, self.output.read_text())

    def _strike(self, child: "asyncio.Future[int]", at: int, how: str) -> Strike:
        what, _, when = how.partition(" ")

        async def act(backend: int) -> None:
            if what == "killed":
                os.kill(await child, signal.SIGKILL)
            else:
                await self.striker.execute("SELECT pg_terminate_backend($1, 30000)", backend)

        return Strike(at, delivers=when == "behind", act=act)

    async def _number(self) -> int:
        assert self.process.stdout is not None
        return int(await self.process.stdout.readline())

    async def _is_alone(self) -> bool:
        return await self.admin.fetchval(_OTHERS) == 0

    async def state(self, slugs: dict[str, str]) -> State:
        """Return every row of the shared schema, and of the schemas that are new or the tenant's."""
        schemas = [
            row[0]
            for row in await self.admin.fetch(
                "SELECT schema_name FROM platform.tenants WHERE slug = ANY($1) OR state = 'vacant'"
                " UNION SELECT 'platform'",
                list(slugs.values()),
            )
        ]
        tables = await self.admin.fetch(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY($1)", schemas
        )
        rows = "SELECT '{0}.{2} ' || to_jsonb(t)::text FROM {1}.{2} t"
        sql = " UNION ALL ".join(
            rows.format("platform" if schema == "platform" else "tenant", quoted(schema), quoted(table))
            for schema, table in tables
        )
        found = Counter(row[0] for row in await self.admin.fetch(sql))
        # A schema that nobody has in his registry is none that a state may leave.
        found.update(row[0] for row in await self.admin.fetch("SELECT 'schema ' || nspname FROM pg_namespace"))
        return found


def told(operation: Operation, before: State, after: State, slugs: dict[str, str]) -> State:
    """Return what changed, without what is new each time: ids, times, secrets and slugs."""
    change = (after - before) + Counter({f"- {line}": times for line, times in (before - after).items()})
    lines: State = Counter()
    for line, times in change.items():
        if operation.asks_beside and line.startswith('platform."jobs"'):
            continue
        for mask, name in _MASKS:
            line = mask.sub(name, line)
        line = re.sub(r"(lh_t_|t_|-)[0-9a-f]{32}", "OWN", line)
        for name, slug in slugs.items():
            line = line.replace(slug, name)
        lines[line] += times
    return lines


@pytest.fixture
def own(admin_url: str) -> Generator[Settings]:
    with installed(admin_url, f"leasehold_killed_{new_slug()[2:]}") as settings:
        migrate(settings)
        yield settings


async def tenants_of(settings: Settings, count: int) -> list[str]:
    """Make tenants, and return their slugs."""
    async with parts_of(settings) as process:
        made = [await process.provisioner.provision(slug=new_slug(), name="A", by=OPERATOR) for _ in range(count)]
    return [tenant.slug for tenant in made]


@asynccontextmanager
async def staged(
    settings: Settings, admin_url: str, folder: Path, *, tenants: int, **environment: str
) -> AsyncGenerator[Stage]:
    database = settings.database_url.get_secret_value().rpartition("/")[2]
    url = f"{driver_url(admin_url).rpartition('/')[0]}/{database}"
    admin: Any = await asyncpg.connect(url)
    striker: Any = await asyncpg.connect(url, server_settings={"application_name": "striker"})
    parts = urlsplit(settings.database_url.get_secret_value())
    async with proxy(parts.hostname or "", parts.port or 5432) as traffic:
        secrets = {f"LEASEHOLD_{name.upper()}": getattr(settings, name).get_secret_value() for name in _SECRETS}
        through = {name: value.replace(f":{parts.port}/", f":{traffic.port}/") for name, value in secrets.items()}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.faults.operating", str(folder / "said")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={
                **through,
                **environment,
                "LEASEHOLD_VACANCIES": "5",
                "LEASEHOLD_ARCHIVE_PASSPHRASE": PASSPHRASE,
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            cwd=PROJECT,
        )
        try:
            slugs = await tenants_of(settings, tenants)
            yield Stage(admin, striker, traffic, process, folder / "said", slugs)
        finally:
            process.kill()
            await process.wait()
            await admin.close()
            await striker.close()


async def prepared(stage: Stage, operation: Operation) -> dict[str, str]:
    """Make what an operation needs, and return the slugs."""
    slugs = {"T": stage.tenants.pop(), "N": new_slug()}
    await stage.admin.execute("UPDATE platform.tenants SET state = 'purging' WHERE state = 'vacant'")
    if operation.vacancies:
        assert (await stage.do("fill", slugs)).status == 0
    for command in operation.before:
        assert (await stage.do(command, slugs)).status == 0
    await stage.admin.execute("DELETE FROM platform.jobs")
    return slugs


def points(stage: Stage, trips: int, commits: list[int]) -> Iterator[tuple[int, str]]:
    """Choose what is struck, and how: a COMMIT on both of its sides, and what comes before it."""
    for way in _WAYS:
        yield stage.dice.choice(commits), way
    for way in stage.dice.choices(_WAYS, k=TIMES):
        yield stage.dice.randrange(2, trips), way


def demand_events(operation: Operation, done: State) -> None:
    """Demand that what was done is in the logs in which it belongs, and nothing else is."""
    found = sorted(
        (line.split(".")[0], json.loads(line.partition(" ")[2].replace("OWN", ""))["action"])
        for line in done.elements()
        if "audit_events" in line.split()[0]
    )
    both = [(log, action) for log in operation.logs for action in operation.writes]
    assert found == sorted([*both, *operation.beside])


async def test_each_operation_is_done_or_not_and_the_same_again_finishes_it(
    own: Settings, admin_url: str, tmp_path: Path
) -> None:
    outcomes: Counter[str] = Counter()
    tenants = len(OPERATIONS) * (len(_WAYS) + TIMES + 1)
    async with staged(own, admin_url, tmp_path, tenants=tenants) as stage:
        for name, operation in OPERATIONS.items():
            slugs = await prepared(stage, operation)
            before = await stage.state(slugs)
            whole = await stage.do(operation.does, slugs)
            assert whole.status == 0, whole.said
            trips, commits = stage.traffic.round_trips, list(stage.traffic.commits)
            expected = told(operation, before, await stage.state(slugs), slugs)
            demand_events(operation, expected)
            for at, how in points(stage, trips, commits):
                case = f"seed {SEED}: {name} {how} round trip {at} of {trips}"
                outcomes[f"{how}: {await strike(stage, operation, expected, (at, how), case)}"] += 1
    sys.stdout.write(f"{dict(sorted(outcomes.items()))}\n")
    assert all(outcomes[f"{way}: old"] for way in _WAYS)
    assert all(outcomes[f"{way}: new"] for way in _WAYS if way.endswith("behind"))


async def strike(stage: Stage, operation: Operation, expected: State, struck: tuple[int, str], case: str) -> str:
    """Do an operation in which something happens, then the same again, and return which state the first left."""
    slugs = await prepared(stage, operation)
    before = await stage.state(slugs)
    ended = await stage.do(operation.does, slugs, struck)
    left = told(operation, before, await stage.state(slugs), slugs)
    is_new = left == expected
    if operation.in_steps:
        made = len(await stage.admin.fetch("SELECT FROM platform.tenants WHERE state = 'vacant'"))
        assert Counter({line: times * WANTED for line, times in left.items()}) == Counter(
            {line: times * made for line, times in expected.items() if made}
        ), case
    elif not operation.goes_on:
        assert is_new or not left, f"{case}: {left - expected}, not {expected - left}"
    if struck[1].startswith("killed"):
        assert ended.status == -signal.SIGKILL, case
    elif ended.status != 0:
        told_of = ended.said.splitlines()[-1:] if operation.tells else ended.said.splitlines()
        assert (ended.status, [line[:11] for line in told_of]) == (_REFUSED, ["leasehold: "]), f"{case}: {ended}"
    else:
        assert is_new, case
    again = await stage.do(operation.does, slugs)
    if is_new and operation.again:
        assert (again.status, operation.again in again.said) == (_REFUSED, True), f"{case}: {again}"
    else:
        assert again.status == 0, f"{case}: {again}"
    assert told(operation, before, await stage.state(slugs), slugs) == expected, case
    return "new" if is_new else "old" if not left else "between"
