"""Whether there are backups that could be restored: the store answers, and the last run is young and whole."""

from datetime import timedelta

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site

NO_STORE = Kind(
    "backups-nowhere",
    "hint",
    "LEASEHOLD_BACKUP_URL names no place for backups: no single tenant can be put back to yesterday.",
    "Set it, and let `leasehold backup` run every night, as docs/how-to/back-up-and-restore.md says.",
)
UNUSABLE = Kind(
    "backups-unusable",
    "problem",
    "Backups can be neither made nor restored by these settings: {reason}",
    "Mend what it says: the URL, the credentials, the passphrase, or the way there.",
)
NEVER = Kind(
    "backups-never",
    "warning",
    "There is a place for backups, and no run has ever ended there in which nothing failed.",
    "Run `leasehold backup`, and see that it runs every night.",
)
OLD = Kind(
    "backups-old",
    "problem",
    "The last run of backups in which nothing failed is {hours} hours old.",
    "Run `leasehold backup`, and look why it does not run every night.",
)
FAILED = Kind(
    "backups-failed",
    "warning",
    "In the last run of backups {count} failed or were not tried: {reasons}",
    "Mend what it says, and run `leasehold backup` again; the others have their backup.",
)
OLD_AFTER = timedelta(hours=36)


async def find(site: Site) -> list[Finding]:
    """Look at the store of backups."""
    if site.settings.backup_url is None:
        return [NO_STORE.found()]
    seen = await site.code.look_at_backups(site.settings)
    if seen.unusable is not None:
        return [UNUSABLE.found(reason=seen.unusable)]
    findings: list[Finding] = []
    if seen.failed:
        findings.append(FAILED.found(count=seen.failed, reasons=seen.reasons))
    if seen.succeeded_at is None:
        findings.append(NEVER.found())
    elif (age := site.code.now() - seen.succeeded_at) >= OLD_AFTER:
        findings.append(OLD.found(hours=int(age.total_seconds() // 3600)))
    return findings


CHECK = Check(
    "backups",
    "Are there backups, made lately and as a whole?",
    (NO_STORE, UNUSABLE, NEVER, OLD, FAILED),
    find,
)
