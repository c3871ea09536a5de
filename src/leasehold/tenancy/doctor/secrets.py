"""Whether the installation key of these settings opens what is stored. Not tenants' own."""

from leasehold.core.vault import UnwrapFailed
from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site
from leasehold.tenancy.names import quoted
from leasehold.tenancy.secrets import SIGNING_KEYS

WRONG_KEY = Kind(
    "installation-key-wrong",
    "problem",
    "LEASEHOLD_INSTALLATION_KEY does not open {count} of the stored secrets of the platform (in {table}).",
    "Set the key that this installation was made with. If it was being replaced, set the other one too, as "
    "docs/how-to/rotate-keys.md says.",
)
FORMER_KEY = Kind(
    "installation-key-unfinished",
    "warning",
    "{count} secrets of the platform (in {table}) are still wrapped by the former or the next installation key.",
    "Run `leasehold keys rotate-installation-key`, and go on as docs/how-to/rotate-keys.md says.",
)
DEMO_KEY = Kind(
    "installation-key-demo",
    "warning",
    "LEASEHOLD_INSTALLATION_KEY was made by `leasehold up` for a demo; `leasehold serve` refuses it.",
    "For production make a new installation with `leasehold db init`, which prints a real key.",
)
NO_SIGNING_KEY = Kind(
    "signing-key-missing",
    "warning",
    "There is no key that signs access tokens.",
    "Start `leasehold serve` or a worker once: the first one that starts makes it.",
)
_MOST = 1000
"""Rows that are looked at of one table."""


async def find(site: Site) -> list[Finding]:
    """Try the key on what the shared schema keeps wrapped by it."""
    findings = [DEMO_KEY.found()] if site.key.is_demo else []
    for column in site.code.platform_secrets:
        table, name, wrapped = quoted(column.table), quoted(column.name), quoted(column.column)
        rows = await site.catalog.fetch(
            f"SELECT {name} AS name, {wrapped} AS wrapped FROM platform.{table} "
            f"WHERE {wrapped} IS NOT NULL ORDER BY {name} DESC LIMIT {_MOST}"
        )
        closed = others = 0
        for row in rows:
            try:
                others += site.key.rewrap(row["wrapped"], purpose=column.purpose(row["name"])) is not None
            except UnwrapFailed:
                closed += 1
        if closed:
            findings.append(WRONG_KEY.found(count=closed, table=column.table))
        if others:
            findings.append(FORMER_KEY.found(count=others, table=column.table))
        if not rows and column == SIGNING_KEYS:
            findings.append(NO_SIGNING_KEY.found())
    return findings


CHECK = Check(
    "secrets",
    "Does the installation key open what is stored?",
    (WRONG_KEY, FORMER_KEY, DEMO_KEY, NO_SIGNING_KEY),
    find,
)
