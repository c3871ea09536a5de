"""The runs over the fleet: whether one was left in the middle."""

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site

STALE_LEASE = Kind(
    "lease-stale",
    "warning",
    "The run over the fleet on {host}, process {pid}, has ended without giving back its lease.",
    "Start the same command again: it takes the lease over and does what is left.",
)
UNFINISHED = Kind(
    "run-unfinished",
    "warning",
    "A run over the fleet ({kind} {target}, begun {started_at:%Y-%m-%d %H:%M} UTC) has no end, and nobody is at it.",
    "Run `leasehold migrate check`, and `leasehold migrate all` if not all tenants stand at head.",
)
# The start of another login's backend is shown to nobody but those who may read all; then its number must do.
_STALE = """
SELECT host, pid FROM platform.fleet_leases l
 WHERE expires_at < now() OR NOT EXISTS (
       SELECT FROM pg_catalog.pg_stat_activity a
        WHERE a.pid = l.backend_pid AND coalesce(a.backend_start = l.backend_started_at, true))
"""
_UNFINISHED = """
SELECT r.kind, r.target, r.started_at AT TIME ZONE 'UTC' AS started_at FROM platform.fleet_runs r
 WHERE r.outcome IS NULL AND NOT EXISTS (SELECT FROM platform.fleet_leases l WHERE l.run_id = r.id)
   AND r.id = (SELECT max(latest.id::text)::uuid FROM platform.fleet_runs latest)
"""


async def find(site: Site) -> list[Finding]:
    """Look for a lease whose holder is gone, and for a last run without an end."""
    findings = [STALE_LEASE.found(**row) for row in await site.catalog.fetch(_STALE)]
    return findings + [UNFINISHED.found(**row) for row in await site.catalog.fetch(_UNFINISHED)]


CHECK = Check("runs", "Was a run over the fleet left in the middle?", (STALE_LEASE, UNFINISHED), find)
