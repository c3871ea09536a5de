"""Tenants come, go and change while a run is under way: nothing fails, and every one of them ends at head."""

import random
import shutil
from collections.abc import Generator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from leasehold.cli.session import run_with, tenant_services
from leasehold.platform.lifecycle.service import LifecycleService
from leasehold.platform.tenants.schemas import TenantPatch
from leasehold.platform.tenants.service import TenantService
from leasehold.process import Process
from tests.factories import OPERATOR, new_slug
from tests.faults.agreement import demand_agreement, eventually, members, waiting
from tests.faults.migrating import FIRST, HEAD, Ended, Fleet, installed_fleet
from tests.fleets import provision, unseeded

VERBS = ("provision", "rename", "suspend", "resume", "remove")
_UNDER_WAY = "SELECT count(*) FROM platform.fleet_runs WHERE pid = $1"


@pytest.fixture
def fleet(admin_url: str, tmp_path: Path) -> Generator[Fleet]:
    with installed_fleet(admin_url, tmp_path, tenants=40) as made:
        yield made


class Admin:
    """Does to tenants whatever the dice say, and remembers what they must be."""

    def __init__(
        self, process: Process, tenants: dict[UUID, tuple[str, str]], left_alone: UUID, dice: random.Random
    ) -> None:
        self.tenants = tenants
        """Slug and state of each tenant."""
        self.done: set[str] = set()
        self._process = process
        self._left_alone = left_alone
        self._dice = dice

    async def act(self, verb: str | None = None) -> None:
        """Do one thing to some tenant."""
        verb = verb or self._dice.choice(VERBS)
        async with tenant_services(self._process) as (tenants, states):
            await getattr(self, f"_{verb}")(tenants if verb in {"provision", "rename"} else states)
        self.done.add(verb)

    async def _provision(self, service: TenantService) -> None:
        made = await service.provision(slug=new_slug(), name="Made in mid-run", by=OPERATOR)
        self.tenants[made.id] = (made.slug, "active")

    async def _rename(self, service: TenantService) -> None:
        tenant_id, (_, state) = self._some("active", "suspended")
        slug = new_slug()
        await service.change(tenant_id, TenantPatch(slug=slug), by=OPERATOR)
        self.tenants[tenant_id] = (slug, state)

    async def _suspend(self, service: LifecycleService) -> None:
        tenant_id, (slug, _) = self._some("active")
        await service.suspend(tenant_id, by=OPERATOR)
        self.tenants[tenant_id] = (slug, "suspended")

    async def _resume(self, service: LifecycleService) -> None:
        tenant_id, (slug, _) = self._some("active", "suspended")
        await service.resume(tenant_id, by=OPERATOR)
        self.tenants[tenant_id] = (slug, "active")

    async def _remove(self, service: LifecycleService) -> None:
        tenant_id, (slug, _) = self._some("active", "suspended")
        await service.delete(tenant_id, by=OPERATOR)
        self.tenants[tenant_id] = (slug, "deleted")

    def _some(self, *states: str) -> tuple[UUID, tuple[str, str]]:
        found = [one for one in self.tenants.items() if one[1][1] in states and one[0] != self._left_alone]
        return self._dice.choice(found)


async def test_tenants_made_renamed_suspended_and_deleted_in_mid_run_end_at_head(fleet: Fleet) -> None:
    async with fleet.connected() as owner, AsyncExitStack() as stack:
        *_, last = await members(owner)
        tenants = {tenant.id: (tenant.slug, "active") for tenant in await members(owner)}

        async def migrate_meanwhile(process: Process) -> tuple[Admin, Ended]:
            admin = Admin(replace(process, provisioner=provisioner), tenants, last.id, random.Random(1))
            await admin.act("suspend")
            await admin.act("remove")
            async with AsyncExitStack() as holding_up:
                # The last one is, so that the run goes on until everything was done once.
                await holding_up.enter_async_context(fleet.locked(last.items))
                run = await stack.enter_async_context(fleet.migrating("--wave=20", "--lock-timeout=120"))
                await eventually(partial(owner.fetchval, _UNDER_WAY, run.pid))
                for verb in VERBS:
                    await admin.act(verb)
                assert not run.has_ended
            while not run.has_ended:
                await admin.act()
            return admin, await run.end()

        provisioner = unseeded(fleet.settings)
        admin, ended = await run_with(fleet.settings, migrate_meanwhile)
        await provisioner.owner.close()
        assert ended.status == 0, ended.all_said
        assert admin.done == set(VERBS)
        await demand_agreement(owner)
        rows = await owner.fetch("SELECT id, slug, state FROM platform.tenants")
        assert {row["id"]: (row["slug"], row["state"]) for row in rows} == admin.tenants
        assert {tenant.revision for tenant in await members(owner)} == {HEAD}


async def test_a_tenant_that_the_old_release_makes_in_mid_run_is_brought_to_head_by_the_next(
    fleet: Fleet, tmp_path: Path
) -> None:
    shutil.copytree(fleet.settings.migrations_dir, tmp_path / "old")
    for revision in (tmp_path / "old" / "tenant" / "versions").glob("*.py"):
        if not revision.name.startswith(FIRST):
            revision.unlink()
    old_release = fleet.settings.model_copy(update={"migrations_dir": tmp_path / "old"})
    async with fleet.connected() as owner:
        async with fleet.migrating() as run:
            async with fleet.locked((await members(owner))[3].items):
                await waiting(owner)
                (made,) = await provision(old_release, 1)
            assert (await run.end()).status == 0
        await demand_agreement(owner)
        assert {each.id for each in await members(owner) if each.revision != HEAD} == {made.id}
        assert (await fleet.migrated()).status == 0
        await demand_agreement(owner)
        assert {tenant.revision for tenant in await members(owner)} == {HEAD}
