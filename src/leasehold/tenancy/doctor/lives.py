"""The ends of tenants' lives: whether vacancies stand ready, purges get done, and restores are confirmed."""

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind, named
from leasehold.tenancy.doctor.site import Site

FEW_VACANCIES = Kind(
    "vacancies-few",
    "warning",
    "{ready} of {wanted} vacancies stand ready at {head}: who signs up waits until a schema is made.",
    "See that a worker with LEASEHOLD_OWNER_URL runs; it makes them within minutes. After a migration it is no fault.",
)
OVERDUE = Kind(
    "purge-overdue",
    "problem",
    "{count} deleted tenants should have been purged more than a day ago: {tenants}.",
    "See that a worker with LEASEHOLD_OWNER_URL runs, and what `leasehold jobs list --state dead` says of purges.",
)
UNFINISHED = Kind(
    "purge-unfinished",
    "problem",
    "The purge of {count} tenants began more than an hour ago and has no end.",
    "`leasehold tenants purge SLUG` goes on with it; what it waits for is in pg_stat_activity.",
)
UNCONFIRMED = Kind(
    "restore-unconfirmed",
    "warning",
    "{count} tenants were put back more than {days} days ago, and what they had is kept since: {tenants}.",
    "Look whether all is well; then `leasehold restores confirm SLUG` destroys it, or `leasehold restores undo SLUG` "
    "brings it back.",
)
PATIENT_DAYS = 7
_UNCONFIRMED = f"""
SELECT t.slug, count(*) OVER () AS tenants
  FROM platform.tenant_restores r JOIN platform.tenants t ON t.id = r.tenant_id
 WHERE r.set_aside_at < now() - interval '{PATIENT_DAYS} days' ORDER BY r.set_aside_at LIMIT 20
"""
_VACANT = "SELECT count(*) FROM platform.tenants WHERE state = 'vacant' AND revision = $1"
_OVERDUE = """
SELECT slug, count(*) OVER () AS tenants FROM platform.tenants
 WHERE state = 'deleted' AND purge_at < now() - interval '1 day' ORDER BY purge_at LIMIT 20
"""
_UNFINISHED = """
SELECT count(*) FROM platform.tenant_purges WHERE finished_at IS NULL AND started_at < now() - interval '1 hour'
"""


async def find(site: Site) -> list[Finding]:
    """Ask the registry."""
    findings: list[Finding] = []
    head, wanted = site.code.history.head, site.settings.vacancies
    ready = await site.catalog.fetchval(_VACANT, head)
    if ready < wanted:
        findings.append(FEW_VACANCIES.found(ready=ready, wanted=wanted, head=head))
    if overdue := await site.catalog.fetch(_OVERDUE):
        count = overdue[0]["tenants"]
        findings.append(OVERDUE.found(count=count, tenants=named([row["slug"] for row in overdue], total=count)))
    if unfinished := await site.catalog.fetchval(_UNFINISHED):
        findings.append(UNFINISHED.found(count=unfinished))
    if waiting := await site.catalog.fetch(_UNCONFIRMED):
        count, slugs = waiting[0]["tenants"], [row["slug"] for row in waiting]
        findings.append(UNCONFIRMED.found(count=count, days=PATIENT_DAYS, tenants=named(slugs, total=count)))
    return findings


CHECK = Check(
    "lives",
    "Do vacancies stand ready, is what was deleted purged in time, and what was put back confirmed?",
    (FEW_VACANCIES, OVERDUE, UNFINISHED, UNCONFIRMED),
    find,
)
