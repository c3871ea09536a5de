"""The pooler, where LEASEHOLD_DATABASE_URL leads to one: its mode, and whether it keeps prepared statements."""

import secrets

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site, open_plainly

SESSION_MODE = Kind(
    "pooler-in-session-mode",
    "problem",
    "The pooler behind LEASEHOLD_DATABASE_URL keeps a connection for each of its clients, as in session mode.",
    "Set `pool_mode = transaction` in PgBouncer, for the database or as the default.",
)
LOSES_STATEMENTS = Kind(
    "pooler-loses-prepared-statements",
    "problem",
    "The pooler behind LEASEHOLD_DATABASE_URL does not keep prepared statements, and these settings use them.",
    "Set LEASEHOLD_PREPARED_STATEMENTS=false; or take PgBouncer 1.21 or newer with max_prepared_statements above 0.",
)
NEEDLESSLY_OFF = Kind(
    "prepared-statements-off",
    "warning",
    "LEASEHOLD_PREPARED_STATEMENTS is off, and what LEASEHOLD_DATABASE_URL leads to keeps prepared statements.",
    "Set it to true: each request takes a round trip less.",
)
_TRIES = 8
_PREPARED = "SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE name = $1)"


async def find(site: Site) -> list[Finding]:
    """Look at how the pooler treats two clients, and a statement with a name."""
    uses_statements = site.settings.prepared_statements
    if not await site.is_pooled():
        return [] if uses_statements else [NEEDLESSLY_OFF.found()]
    findings = [] if await _shares_connections(site) else [SESSION_MODE.found()]
    keeps_statements = await _keeps_statements(site)
    if uses_statements and not keeps_statements:
        findings.append(LOSES_STATEMENTS.found())
    if keeps_statements and not uses_statements:
        findings.append(NEEDLESSLY_OFF.found())
    return findings


async def _shares_connections(site: Site) -> bool:
    """Tell whether one backend has served two clients that are both still there, which no other mode does."""
    other = await open_plainly(site.settings.database_url.get_secret_value())
    try:
        served: tuple[set[int], set[int]] = (set(), set())
        for _ in range(_TRIES):
            for connection, backends in zip((site.app, other), served, strict=True):
                backends.add(await connection.fetchval("SELECT pg_catalog.pg_backend_pid()"))
            if served[0] & served[1]:
                return True
    finally:
        await other.close(timeout=2)
    # Under load each client may have met others; in session mode each meets one for ever.
    return len(served[0]) > 1 or len(served[1]) > 1


async def _keeps_statements(site: Site) -> bool:
    """Tell whether the pooler follows prepared statements: it does so under names of its own."""
    name = f"leasehold_doctor_{secrets.token_hex(8)}"
    async with site.app.transaction():
        statement = await site.app.prepare("SELECT 1", name=name)
        await statement.fetchval()
        return not await site.app.fetchval(_PREPARED, name)


CHECK = Check(
    "pooler",
    "Does the pooler, if there is one, work by transaction, and keep prepared statements where they are used?",
    (SESSION_MODE, LOSES_STATEMENTS, NEEDLESSLY_OFF),
    find,
    needs_platform=False,
)
