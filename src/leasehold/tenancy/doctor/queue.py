"""The jobs: whether anybody runs them, which have failed for good, and how long the others wait."""

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind, named
from leasehold.tenancy.doctor.site import Site
from leasehold.tenancy.jobs.models import PLATFORM_LANE
from leasehold.tenancy.jobs.queue import LEASE_S

NO_WORKER = Kind(
    "worker-missing",
    "problem",
    "No worker was seen for {seconds} seconds: no mail is sent, no vacancy made, nothing that runs by the clock.",
    "Start `leasehold worker`, or set LEASEHOLD_WORKER_INSIDE=true for a server that shall do it too.",
)
DEAD = Kind(
    "jobs-dead",
    "warning",
    "{count} jobs have failed too often and are tried no more: {names}.",
    "`leasehold jobs list --state dead` and `leasehold jobs show ID` say why; then `leasehold jobs retry` or `drop`.",
)
WAITING = Kind(
    "jobs-waiting",
    "problem",
    "The job {name}, which is the next in its lane, waits since {seconds} seconds.",
    "Start more workers or raise LEASEHOLD_WORKER_JOBS; `leasehold jobs status` says what there is to do.",
)
TASK_FAILED = Kind(
    "periodic-task-failed",
    "warning",
    "What runs by the clock has failed when it last ran: {names}.",
    "`leasehold jobs status` says why; it is tried again by itself.",
)
_MOST_WAIT_S = 300
_HAS_WORKER = """
SELECT EXISTS (SELECT FROM platform.job_workers
                WHERE seen_at BETWEEN now() - make_interval(secs => $1) AND now() + make_interval(secs => $1))
"""
# Those that are kept with what was set aside come back with it, or go; until then nobody can try them again.
_DEAD = """
SELECT name, count(*) AS jobs FROM platform.jobs j
 WHERE state = 'dead' AND NOT EXISTS (SELECT FROM platform.tenants t WHERE t.id = j.lane AND t.state = 'set_aside')
 GROUP BY name ORDER BY count(*) DESC, name
"""
# Each lane that has something ready is found by one look into the index, as workers find it. The jobs of a tenant that
# is not active wait rightly.
_NEXT = f"""
WITH RECURSIVE lanes (lane) AS (
    (SELECT j.lane FROM platform.jobs j WHERE j.state = 'ready' ORDER BY j.lane LIMIT 1)
    UNION ALL
    SELECT later.lane FROM lanes CROSS JOIN LATERAL (
        SELECT j.lane FROM platform.jobs j WHERE j.state = 'ready' AND j.lane > lanes.lane ORDER BY j.lane LIMIT 1
    ) later
)
SELECT next.name, extract(epoch FROM now() - next.run_at)::bigint AS seconds
  FROM lanes CROSS JOIN LATERAL (
      SELECT j.name, j.run_at FROM platform.jobs j WHERE j.state = 'ready' AND j.lane = lanes.lane
       ORDER BY j.priority DESC, j.run_at LIMIT 1
  ) next
 WHERE (lanes.lane = '{PLATFORM_LANE}'
        OR EXISTS (SELECT FROM platform.tenants t WHERE t.id = lanes.lane AND t.state = 'active'))
 ORDER BY next.run_at LIMIT 1
"""
_FAILED = "SELECT name FROM platform.periodic_tasks WHERE outcome = 'failed' ORDER BY name"


async def find(site: Site) -> list[Finding]:
    """Ask the tables of the jobs, as a worker does."""
    findings: list[Finding] = []
    if not await site.catalog.fetchval(_HAS_WORKER, LEASE_S):
        findings.append(NO_WORKER.found(seconds=round(LEASE_S)))
    if dead := await site.catalog.fetch(_DEAD):
        names = named([f"{row['name']} ({row['jobs']})" for row in dead])
        findings.append(DEAD.found(count=sum(row["jobs"] for row in dead), names=names))
    waiting = await site.catalog.fetchrow(_NEXT)
    if waiting is not None and waiting["seconds"] > _MOST_WAIT_S:
        findings.append(WAITING.found(**waiting))
    if failed := await site.catalog.fetch(_FAILED):
        findings.append(TASK_FAILED.found(names=named([row["name"] for row in failed])))
    return findings


CHECK = Check(
    "jobs",
    "Does a worker live, and does it get its work done?",
    (NO_WORKER, DEAD, WAITING, TASK_FAILED),
    find,
)
