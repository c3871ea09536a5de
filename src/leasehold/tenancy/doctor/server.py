"""The server: its version, its clock, and what was set for the login of the app."""

import asyncpg

from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import Site

TOO_OLD = Kind(
    "server-too-old",
    "problem",
    "The server is PostgreSQL {major}; Leasehold needs {oldest} or newer.",
    "Upgrade the server.",
)
UNTESTED = Kind(
    "server-untested",
    "warning",
    "The server is PostgreSQL {major}; Leasehold was tested on none newer than {newest}.",
    "Take a release of Leasehold that names this version, or try this one on a copy first.",
)
CLOCK = Kind(
    "clock-differs",
    "warning",
    "The clock of this machine is {seconds} seconds {direction} that of the database server.",
    "Let both follow NTP: tokens that one machine makes are not yet, or no longer, valid on another.",
)
TIME_ZONE = Kind(
    "time-zone",
    "warning",
    "The time zone of the login of the app is {zone}.",
    "Set timezone = 'UTC': what people read by psql then lines up with the logs. Leasehold itself does not mind.",
)
SHORT_TIMEOUT = Kind(
    "timeout-short",
    "warning",
    "{name} is set to {value} for the login of the app, which is less than the {needed_s} seconds that it may need.",
    "Raise it, or take it off the login: ALTER ROLE lh_app RESET {name}.",
)
CITUS = Kind(
    "citus-hides-tables",
    "problem",
    "Citus hides its tables from the catalogs (citus.override_table_visibility), without which the driver cannot work.",
    "ALTER DATABASE ... SET citus.override_table_visibility = off, and set LEASEHOLD_TENANT_ROLES=false.",
)
_MOST_CLOCK_S = 2.0
_UTC = frozenset(
    {"utc", "etc/utc", "gmt", "etc/gmt", "uct", "etc/uct", "zulu", "etc/zulu", "universal", "etc/universal"}
)
_NEEDED_S = {
    "statement_timeout": 300,
    "lock_timeout": 5,
    "transaction_timeout": 300,
    "idle_in_transaction_session_timeout": 60,
    "idle_session_timeout": 3600,
}
_SETTINGS = """
SELECT name, setting, unit FROM pg_catalog.pg_settings WHERE name = ANY($1) AND setting <> '0'
"""
_SERVER = """
SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('TimeZone') AS zone,
       current_setting('citus.override_table_visibility', true) AS citus, clock_timestamp() AS now
"""
_MS = {"ms": 0.001, "s": 1, "min": 60}


async def find(site: Site) -> list[Finding]:
    """Ask the server about itself, as the login of the app sees it."""
    asked_at = site.code.now()
    (server,) = await site.catalog.fetch(_SERVER)
    between = asked_at + (site.code.now() - asked_at) / 2
    ahead_s = (between - server["now"]).total_seconds()
    findings: list[Finding] = []
    if server["major"] < site.code.majors.start:
        findings.append(TOO_OLD.found(major=server["major"], oldest=site.code.majors.start))
    elif server["major"] not in site.code.majors:
        findings.append(UNTESTED.found(major=server["major"], newest=site.code.majors[-1]))
    if abs(ahead_s) > _MOST_CLOCK_S:
        direction = "ahead of" if ahead_s > 0 else "behind"
        findings.append(CLOCK.found(seconds=round(abs(ahead_s)), direction=direction))
    if server["zone"].lower() not in _UTC:
        findings.append(TIME_ZONE.found(zone=server["zone"]))
    if server["citus"] is not None and server["citus"] != "off":
        findings.append(CITUS.found())
    return findings + [_short(row) for row in await site.catalog.fetch(_SETTINGS, list(_NEEDED_S)) if _is_short(row)]


def _seconds(row: asyncpg.Record) -> float:
    return int(row["setting"]) * _MS[row["unit"]]


def _is_short(row: asyncpg.Record) -> bool:
    return 0 < _seconds(row) < _NEEDED_S[row["name"]]


def _short(row: asyncpg.Record) -> Finding:
    return SHORT_TIMEOUT.found(name=row["name"], value=f"{_seconds(row):g} s", needed_s=_NEEDED_S[row["name"]])


CHECK = Check(
    "server",
    "Are version, clock and settings of the server those that Leasehold needs?",
    (TOO_OLD, UNTESTED, CLOCK, TIME_ZONE, SHORT_TIMEOUT, CITUS),
    find,
    needs_platform=False,
)
