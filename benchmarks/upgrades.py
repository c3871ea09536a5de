"""One revision for a whole fleet, by our engine, by SQL that was written by hand, and by Alembic as it is used."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from benchmarks.fleet import NEW, NOBODY, ROLE, SCHEMA, Fleet, Measured, for_each, measured
from benchmarks.installation import clean_environment
from benchmarks.peers import ROOT
from benchmarks.peers.alembic_usual import loop_command, shell_command, write_ini
from leasehold.cli.fleet_run import fleet_run
from leasehold.core.models import TenantModel
from leasehold.tenancy.fleet.drift import find_drift
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.plan import RunOptions
from leasehold.tenancy.names import schema_name

_BY_HAND = f"""\
BEGIN;
SET LOCAL search_path = {SCHEMA}, pg_temp;
ALTER TABLE items ADD COLUMN bench_colour text DEFAULT 'none' NOT NULL;
CREATE INDEX ix_items_bench_colour ON items (bench_colour);
CREATE TABLE bench_labels (id uuid NOT NULL, name text NOT NULL, CONSTRAINT pk_bench_labels PRIMARY KEY (id));
GRANT SELECT, INSERT, UPDATE, DELETE ON bench_labels TO {ROLE};
UPDATE alembic_version SET version_num = '{NEW}';
UPDATE platform.tenants SET revision = '{NEW}' WHERE id = '{NOBODY.hex}';
COMMIT"""


class WrongResult(RuntimeError):
    """{name} left schemas that are not as they should be: {found}"""

    def __init__(self, name: str, found: object) -> None:
        super().__init__((self.__doc__ or "").format(name=name, found=found))


@dataclass(frozen=True, slots=True)
class Way:
    """How a fleet can be upgraded, and how many of its tenants are, so that it does not take for ever."""

    name: str
    title: str
    upgrade: Callable[[Fleet, Sequence[UUID]], Awaitable[float | None]]
    tenants: int
    does_all: bool = True
    """Whether rights and registry are brought up to date too."""


def ways(*, tenants: int, processes: int, commands: int, folder: Path) -> list[Way]:
    """Return the ways that are compared; Alembic's need a folder."""

    async def in_processes(fleet: Fleet, chosen: Sequence[UUID]) -> None:
        ini = _ini(fleet, folder)
        turns = asyncio.Semaphore(fleet.jobs)

        async def one(tenant_id: UUID) -> None:
            async with turns:
                await _run(shell_command(ini, schema_name(tenant_id)))

        await asyncio.gather(*map(one, chosen))

    async def in_one_process(fleet: Fleet, chosen: Sequence[UUID]) -> float:
        return float(await _run(loop_command(_ini(fleet, folder), [schema_name(tenant_id) for tenant_id in chosen])))

    return [
        Way("leasehold", "Leasehold, all of it", _by_leasehold, tenants),
        Way("by_hand", "by hand on asyncpg, a message per tenant", _by_hand, tenants),
        Way("by_statement", "by hand on asyncpg, a message per statement", _statement_by_statement, tenants),
        Way("commands", "`command.upgrade` per tenant, in one process", in_one_process, commands, does_all=False),
        Way("processes", "`alembic upgrade` per tenant, a process each", in_processes, processes, does_all=False),
    ]


async def upgraded(fleet: Fleet, way: Way, tenants: Sequence[UUID]) -> Measured:
    """Upgrade a fleet, see that it is done, and take it back.

    Raises:
        WrongResult: it is not done.
    """
    chosen = tenants[: way.tenants]
    result = await measured(fleet, len(chosen), lambda: way.upgrade(fleet, chosen))
    await _demand_done(fleet, way, chosen)
    await fleet.take_back(chosen)
    return result


async def _by_leasehold(fleet: Fleet, _: Sequence[UUID]) -> None:
    summary = await fleet_run(fleet.settings, RunOptions(jobs=fleet.jobs)).run()
    if summary.outcome != "succeeded":
        raise WrongResult("Leasehold", summary)


async def _by_hand(fleet: Fleet, tenants: Sequence[UUID]) -> None:
    await fleet.execute([message] for message in for_each(_BY_HAND, tenants))


async def _statement_by_statement(fleet: Fleet, tenants: Sequence[UUID]) -> None:
    await fleet.execute(script.split(";\n") for script in for_each(_BY_HAND, tenants))


async def _demand_done(fleet: Fleet, way: Way, tenants: Sequence[UUID]) -> None:
    """Look at the revision of every schema, and at all else in the first and the last one."""
    versions = " UNION ALL ".join(f"SELECT version_num FROM {schema_name(each)}.alembic_version" for each in tenants)
    counted = await fleet.fetch(f"SELECT version_num, count(*) FROM ({versions}) GROUP BY 1")
    if [tuple(row) for row in counted] != [(NEW, len(tenants))]:
        raise WrongResult(way.name, counted)
    if way.does_all:
        ends = [tenants[0], tenants[-1]]
        slugs = [row["slug"] for row in await fleet.fetch("SELECT slug FROM platform.tenants WHERE id = ANY($1)", ends)]
        history = TenantHistory.load(fleet.settings.migrations_dir)
        drift = await find_drift(fleet.owner_url, history, TenantModel.metadata, slugs, tenant_roles=True)
        if drift.differences:
            raise WrongResult(way.name, drift.differences)


def _ini(fleet: Fleet, folder: Path) -> Path:
    return write_ini(folder, url=fleet.owner_url, versions=fleet.settings.migrations_dir / "tenant" / "versions")


async def _run(command: list[str]) -> str:
    """Run a command, which ends with us, and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode:
        raise WrongResult(command[2], errors.decode())
    return output.decode()
