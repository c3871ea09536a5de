"""What requests do to each other on shared connections: a language of small acts, and a detector of leaks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies
from sqlalchemy import literal_column, select, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError

from leasehold.core.database import Database, platform_session
from leasehold.core.errors import Problem
from leasehold.tenancy.bind import TenantSession, open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.items.models import Item

TITLES = select(Item.title)


class Deliberate(RuntimeError):
    """Raised by an act to see what an exception leaves behind."""


@dataclass
class Watch:
    """Everything that was seen where it should not be."""

    leaks: list[str] = field(default_factory=list)

    async def look(self, session: TenantSession, tenant: TenantRef) -> None:
        """Check path, role and rows of a session that should be on one tenant."""
        schema, role = (await session.execute(text("SELECT current_schema()::text, current_user::text"))).one()
        if (schema, role) != (tenant.schema, tenant.role):
            self.leaks.append(f"{tenant.slug} ran as {role} in {schema}")
        strangers = set((await session.scalars(TITLES)).all()) - {tenant.slug}
        if strangers:
            self.leaks.append(f"{tenant.slug} saw rows of {sorted(strangers)}")


Act = Callable[[TenantSession, TenantRef, Watch], Awaitable[None]]


async def read(session: TenantSession, tenant: TenantRef, watch: Watch) -> None:
    await watch.look(session, tenant)


async def write(session: TenantSession, tenant: TenantRef, watch: Watch) -> None:
    session.add(Item(title=tenant.slug, description=""))
    await session.flush()
    await watch.look(session, tenant)


async def fail_in_python(session: TenantSession, tenant: TenantRef, watch: Watch) -> None:
    await watch.look(session, tenant)
    raise Deliberate


async def fail_in_sql(session: TenantSession, _tenant: TenantRef, _watch: Watch) -> None:
    await session.execute(text("SELECT 1 / 0"))


async def never_begin(session: TenantSession, _tenant: TenantRef, _watch: Watch) -> None:
    """Announce a transaction, and fail before its BEGIN is sent."""
    await session.connection()
    raise Deliberate


async def be_cancelled(session: TenantSession, _tenant: TenantRef, _watch: Watch) -> None:
    async with asyncio.timeout(0.003):
        await session.execute(text("SELECT pg_sleep(1)"))


async def commit_in_the_middle(session: TenantSession, tenant: TenantRef, watch: Watch) -> None:
    await write(session, tenant, watch)
    await session.commit()
    await watch.look(session, tenant)


async def roll_back_in_the_middle(session: TenantSession, tenant: TenantRef, watch: Watch) -> None:
    await write(session, tenant, watch)
    await session.rollback()
    await watch.look(session, tenant)


async def roll_back_to_a_savepoint(session: TenantSession, tenant: TenantRef, watch: Watch) -> None:
    savepoint = await session.begin_nested()
    await write(session, tenant, watch)
    await savepoint.rollback()
    await watch.look(session, tenant)


async def make_a_temporary_table(session: TenantSession, tenant: TenantRef, watch: Watch) -> None:
    try:
        async with session.begin_nested():
            await session.execute(text("CREATE TEMPORARY TABLE items (title text) ON COMMIT PRESERVE ROWS"))
            await session.execute(text("INSERT INTO pg_temp.items VALUES ('shadow')"))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in {"42501", "42P07"}:
            raise
    await watch.look(session, tenant)


async def leave_the_role(session: TenantSession, tenant: TenantRef, watch: Watch) -> None:
    """Do what an injection could: whatever it changes must end with the transaction."""
    await session.execute(text("RESET ROLE"))
    await session.execute(text("SET LOCAL search_path = pg_catalog"))
    await session.commit()
    await watch.look(session, tenant)


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        read,
        write,
        fail_in_python,
        fail_in_sql,
        never_begin,
        be_cancelled,
        commit_in_the_middle,
        roll_back_in_the_middle,
        roll_back_to_a_savepoint,
        make_a_temporary_table,
        leave_the_role,
    )
}

Request = tuple[int, list[str]]
"""Which tenant, and what is done in one session of it; tenant -1 is the platform."""

requests = strategies.lists(
    strategies.tuples(
        strategies.integers(min_value=-1, max_value=7),
        strategies.lists(strategies.sampled_from(sorted(ACTS)), min_size=1, max_size=4),
    ),
    min_size=2,
    max_size=24,
)


async def play(database: Database, tenants: Sequence[TenantRef], script: Sequence[Request]) -> list[str]:
    """Run the requests of a script at once on the pool of a database, and return the leaks that were seen."""
    watch = Watch()
    await asyncio.gather(*(_play_one(database, tenants, request, watch) for request in script))
    return watch.leaks


async def _play_one(database: Database, tenants: Sequence[TenantRef], request: Request, watch: Watch) -> None:
    number, acts = request
    if number < 0:
        await _look_from_the_platform(database, watch)
        return
    tenant = tenants[number]
    try:
        async with open_tenant_session(database, tenant) as session:
            for act in acts:
                await ACTS[act](session, tenant, watch)
    except (Deliberate, DBAPIError, Problem, TimeoutError, InvalidRequestError):
        pass


async def _look_from_the_platform(database: Database, watch: Watch) -> None:
    columns = (literal_column("current_user::text"), literal_column("current_setting('search_path')"))
    async with platform_session(database) as session:
        role, path = (await session.execute(select(*columns))).one()
    if (role, path) != ("lh_app", "pg_catalog, pg_temp"):
        watch.leaks.append(f"the platform ran as {role} with {path}")
