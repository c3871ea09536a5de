"""Whether the server grants the connections and locks that the processes of the installation may take together."""

from leasehold.core.budget import connection_budget, worker_budget
from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site
from leasehold.tenancy.feed import APPLICATION_NAME
from leasehold.tenancy.jobs.queue import LEASE_S

TOO_FEW_CONNECTIONS = Kind(
    "connections-too-few",
    "problem",
    "The server grants {granted} connections; {servers} serving processes and {workers} workers with these settings "
    "open up to {wanted}.",
    "Lower LEASEHOLD_POOL_SIZE or LEASEHOLD_WORKER_JOBS, raise max_connections, or put PgBouncer in between.",
)
FEW_LOCKS = Kind(
    "locks-too-few",
    "warning",
    "max_locks_per_transaction is {value}; a purge, a pg_dump, and changes to many tenants at once hold many locks.",
    "Set it to 64 or more and restart the server; to several hundred where thousands of schemas are dumped at once.",
)
_LEAST_LOCKS = 64
_CAPACITY = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true), '0')::int AS granted,
       current_setting('max_locks_per_transaction')::int AS locks,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity
         WHERE application_name = $1 AND datname = current_database()) AS processes
"""
_WORKERS = """
SELECT count(*) FROM platform.job_workers WHERE seen_at > now() - make_interval(secs => $1)
"""


async def find(site: Site) -> list[Finding]:
    """Add up what the processes that are known take: those that follow the registry now, and at least one of each."""
    (capacity,) = await site.catalog.fetch(_CAPACITY, APPLICATION_NAME)
    findings: list[Finding] = []
    if capacity["locks"] < _LEAST_LOCKS:
        findings.append(FEW_LOCKS.found(value=capacity["locks"]))
    if await site.is_pooled():  # whose limit is its own
        return findings
    settings = site.settings
    live = await site.catalog.fetchval(_WORKERS, LEASE_S) if site.is_migrated else 0
    workers = max(1, live)
    servers = max(settings.workers, capacity["processes"] - live)
    serving = connection_budget(
        pool_size=settings.pool_size, workers=servers, has_quotas=settings.rate_limit_store == "postgresql"
    )
    wanted = serving.total + workers * worker_budget(jobs=settings.worker_jobs).total
    if wanted > capacity["granted"]:
        values = {"servers": servers, "workers": workers, "wanted": wanted, "granted": capacity["granted"]}
        findings.append(TOO_FEW_CONNECTIONS.found(**values))
    return findings


CHECK = Check(
    "capacity",
    "Does the server grant as many connections and locks as all processes together may take?",
    (TOO_FEW_CONNECTIONS, FEW_LOCKS),
    find,
    needs_platform=False,
)
