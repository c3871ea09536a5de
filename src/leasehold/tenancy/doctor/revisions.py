"""Where the shared schema and the tenants stand, against what this code expects."""

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind, named
from leasehold.tenancy.doctor.site import Site

NOT_MIGRATED = Kind(
    "platform-not-migrated",
    "problem",
    "The shared schema stands at {revision}, behind {head}: a process of this release is not ready.",
    "Run `leasehold migrate all` with this release, before it serves.",
)
NEWER = Kind(
    "platform-newer",
    "warning",
    "The shared schema stands at {revision}, which this release does not know: a newer one has migrated it.",
    "Go on with the deploy of the newer release; run its doctor then.",
)
BEHIND = Kind(
    "tenants-behind",
    "warning",
    "{count} tenants do not stand at {head}: {tenants}.",
    "Run `leasehold migrate all`; `leasehold migrate status` names them. During a deploy it is no fault.",
)
FAILED = Kind(
    "migrations-failed",
    "problem",
    "The last migration of {count} tenants has failed: {tenants}.",
    "`leasehold migrate status` says why. Mend it, then `leasehold migrate all --retry-failed`.",
)
SHUT_OUT = Kind(
    "tenants-shut-out",
    "problem",
    "{count} tenants stand at revisions that this release cannot serve, and are answered 503: {tenants}.",
    "Migrate them with `leasehold migrate all`; or, where a newer release has migrated them, roll that one out.",
)
_IN_THE_FLEET = "t.state NOT IN ('purging', 'purged')"
_BEHIND = f"""
SELECT t.slug, latest.error IS NOT NULL AS has_failed,
       count(*) OVER () AS behind, count(latest.error) OVER () AS failed
  FROM platform.tenants t
  LEFT JOIN LATERAL (SELECT r.error FROM platform.fleet_results r
                      WHERE r.tenant_id = t.id ORDER BY r.id DESC LIMIT 1) latest ON true
 WHERE {_IN_THE_FLEET} AND t.revision <> $1
 ORDER BY latest.error IS NULL, t.id LIMIT 20
"""
_SHUT_OUT = f"""
SELECT t.slug, count(*) OVER () AS tenants
  FROM platform.tenants t LEFT JOIN platform.tenant_revisions r ON r.revision = t.revision
 WHERE {_IN_THE_FLEET} AND t.state <> 'vacant' AND t.revision <> ALL($2)
   AND (t.revision = ANY($1) OR r.served_by IS NULL OR r.served_by <> ALL($1))
 ORDER BY t.id LIMIT 20
"""


async def find(site: Site) -> list[Finding]:
    """Look into the registry; no tenant's schema is opened."""
    revision, history, head = site.platform_revision, site.code.history, site.code.platform_head
    if revision is None or revision in site.code.outdated_revisions:
        return [NOT_MIGRATED.found(revision=revision or "no revision", head=head)]
    findings: list[Finding] = []
    if revision != head:
        findings.append(NEWER.found(revision=revision))
    if behind := await site.catalog.fetch(_BEHIND, history.head):
        count, failed = behind[0]["behind"], behind[0]["failed"]
        slugs = named([row["slug"] for row in behind], total=count)
        findings.append(BEHIND.found(count=count, head=history.head, tenants=slugs))
        if failed:
            slugs = named([row["slug"] for row in behind if row["has_failed"]], total=failed)
            findings.append(FAILED.found(count=failed, tenants=slugs))
    known, served = list(history.revisions), list(history.served_revisions())
    if shut_out := await site.catalog.fetch(_SHUT_OUT, known, served):
        count = shut_out[0]["tenants"]
        slugs = named([row["slug"] for row in shut_out], total=count)
        findings.append(SHUT_OUT.found(count=count, tenants=slugs))
    return findings


CHECK = Check(
    "revisions",
    "Do the shared schema and all tenants stand where this release serves them?",
    (NOT_MIGRATED, NEWER, BEHIND, FAILED, SHUT_OUT),
    find,
    needs_platform=False,
)
