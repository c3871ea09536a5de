"""New tenants, by our provisioner and by SQL that was written by hand, in turns of a few."""

from collections import defaultdict
from dataclasses import dataclass

import asyncpg

from benchmarks.fleet import NOBODY, ROLE, SCHEMA, Fleet, Measured, for_each, measured
from benchmarks.progress import say
from leasehold.cli.session import run_with
from leasehold.core.actor import Actor
from leasehold.core.ids import new_id
from leasehold.core.models import TenantModel
from leasehold.process import Process

# The query itself, for whoever calls its function pays for a savepoint too.
from leasehold.tenancy.fleet.fingerprint import _DESCRIPTION, digest
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.rendering import render_provisioning
from leasehold.tenancy.names import APP_ROLE, REFERENCE_SCHEMA, TENANT_GROUP, role_name, schema_name
from leasehold.tenancy.rights import HELD_RIGHTS, rights_sql

TURN = 10
_TIDY_EVERY = 5
_REGISTERED_AND_NAMED = f"""\
INSERT INTO platform.tenants
       (id, slug, name, schema_name, role_name, state, cluster, revision, created_at, updated_at)
VALUES ('{NOBODY.hex}', 'by-hand-{NOBODY.hex}', 'Bench', '{SCHEMA}', '{ROLE}', 'active', 'main', '{{base}}',
        now(), now());
CREATE SCHEMA {SCHEMA};
CREATE ROLE {ROLE} NOLOGIN;
GRANT {TENANT_GROUP} TO {ROLE} WITH INHERIT TRUE, SET FALSE;
GRANT {ROLE} TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE;
SET LOCAL search_path = {SCHEMA}, pg_temp"""
_SEEDED = """\
INSERT INTO tenant_secrets (id, name, wrapped) VALUES (gen_random_uuid(), 'pepper', decode(repeat('00', 60), 'hex'))"""


class NotTheReference(RuntimeError):
    """A schema that was made by hand differs from the reference."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class ByHand:
    """What somebody would write who knows the tables: one message, then the fingerprint, then the commit."""

    script: str
    expected: str
    """The fingerprint."""

    @classmethod
    async def written(cls, fleet: Fleet) -> "ByHand":
        """Write it for the tables that the migrations make today."""
        rendering = render_provisioning(TenantHistory.load(fleet.settings.migrations_dir), fleet.base)
        held = await fleet.fetch(HELD_RIGHTS, REFERENCE_SCHEMA, "nobody")
        parts = [
            "BEGIN",
            _REGISTERED_AND_NAMED.format(base=fleet.base),
            *(segment.script for segment in rendering.segments),
            *rights_sql(TenantModel.metadata, held, schema=SCHEMA, role=ROLE),
            _SEEDED,
        ]
        sql = "SELECT fingerprint FROM platform.tenant_revisions WHERE revision = $1"
        return cls("\n;\n".join(parts), (await fleet.fetch(sql, fleet.base))[0]["fingerprint"])

    async def provision(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Make a tenant.

        Raises:
            NotTheReference: its schema is not what it should be.
        """
        tenant_id = new_id()
        (script,) = for_each(f"{self.script}\n;\nSET LOCAL search_path = pg_catalog, pg_temp", [tenant_id])
        await connection.execute(script)
        rows = await connection.fetch(_DESCRIPTION, [schema_name(tenant_id)], [role_name(tenant_id)])
        if digest(sorted(row["line"] for row in rows)) != self.expected:
            raise NotTheReference
        await connection.execute("COMMIT")


async def in_turns(fleet: Fleet, by_hand: ByHand, turns: int) -> dict[str, list[Measured]]:
    """Let both make some tenants in turn, over one connection each."""
    results: dict[str, list[Measured]] = defaultdict(list)

    async def work(process: Process) -> None:
        connection = await asyncpg.connect(fleet.owner_url)

        async def ours(count: int) -> None:
            for _ in range(count):
                await process.provisioner.provision(
                    slug=f"ours-{new_id().hex}", name="Bench", by=Actor.operator("benchmarks")
                )

        async def theirs(count: int) -> None:
            for _ in range(count):
                await by_hand.provision(connection)

        both = {"leasehold": ours, "by_hand": theirs}
        try:
            for provision in both.values():
                await provision(1)  # connections are opened, statements prepared, the history is rendered
            for turn in range(turns):
                if turn % _TIDY_EVERY == 0:
                    say(f"provisioning, turn {turn + 1} of {turns}")
                    await fleet.tidy()
                # Who comes second meets a few more tenants.
                for name, provision in list(both.items())[:: -1 if turn % 2 else 1]:
                    results[name].append(await measured(fleet, TURN, lambda provision=provision: provision(TURN)))
        finally:
            connection.terminate()

    await run_with(fleet.settings, work)
    return results


async def fill(fleet: Fleet, by_hand: ByHand, count: int) -> None:
    """Make the tenants that are missing to so many; these are not measured."""
    (row,) = await fleet.fetch("SELECT count(*) FROM platform.tenants")
    missing = [new_id() for _ in range(count - row["count"])]
    await fleet.execute([message] for message in for_each(f"{by_hand.script}\n;\nCOMMIT", missing))
    await fleet.tidy()
