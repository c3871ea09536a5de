"""The three URLs: whether each is there, opens, logs in as whom it should, and leads to the same PostgreSQL."""

import asyncpg

from leasehold.core.database import DriverConnection
from leasehold.tenancy.doctor.check import Check
from leasehold.tenancy.doctor.finding import Finding, Kind
from leasehold.tenancy.doctor.site import APP_SETTING, DIRECT_SETTING, OWNER_SETTING, Site
from leasehold.tenancy.names import APP_ROLE, OWNER_ROLE

UNREACHABLE = Kind(
    "url-unreachable",
    "problem",
    "{setting} cannot be opened: {reason}.",
    "Check host, port, password and database of {setting}, and that the network lets this machine through.",
)
WRONG_LOGIN = Kind(
    "url-wrong-login",
    "problem",
    "{setting} logs in as {login}, not as {wanted}.",
    "Put the login {wanted} into {setting}; `leasehold db init` makes it, and says its URL.",
)
NO_DIRECT_URL = Kind(
    "direct-url-missing",
    "warning",
    "LEASEHOLD_DIRECT_URL is not set, so that every process polls for changes of tenants.",
    "Set it to the login lh_app on PostgreSQL itself, past any pooler.",
)
NO_OWNER_URL = Kind(
    "owner-url-missing",
    "warning",
    "LEASEHOLD_OWNER_URL is not set: processes with these settings neither migrate, nor make, nor purge tenants.",
    "Set it where migrations and workers run, to the login lh_owner on PostgreSQL itself.",
)
IS_POOLER = Kind(
    "url-is-pooler",
    "problem",
    "{setting} leads to a pooler.",
    "Let {setting} name PostgreSQL itself: only LEASEHOLD_DATABASE_URL may lead to PgBouncer.",
)
ELSEWHERE = Kind(
    "url-elsewhere",
    "problem",
    "{setting} leads to another server or database than LEASEHOLD_DATABASE_URL.",
    "Let all three URLs name one database of one server, a standby being another server.",
)
READ_ONLY = Kind(
    "database-read-only",
    "problem",
    "{setting} leads to where nothing can be written.",
    "Let it name the primary and not a standby; else see `\\drds` in psql for default_transaction_read_only.",
)
_LOGINS = {APP_SETTING: APP_ROLE, DIRECT_SETTING: APP_ROLE, OWNER_SETTING: OWNER_ROLE}
_SELF = """
SELECT session_user AS login,
       current_setting('default_transaction_read_only') = 'on' OR pg_catalog.pg_is_in_recovery() AS is_read_only,
       ROW (pg_catalog.pg_postmaster_start_time(),
            (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))::text AS place
"""
"""The server is known by its start: a standby or a copy has the same identifier, and another start."""


async def find(site: Site) -> list[Finding]:
    """Look at each URL that the settings have."""
    findings = [UNREACHABLE.found(setting=name, reason=why.rstrip(".")) for name, why in site.failures.items()]
    if site.settings.direct_url is None:
        findings.append(NO_DIRECT_URL.found())
    if site.settings.owner_url is None:
        findings.append(NO_OWNER_URL.found())
    selves = {setting: await _self(connection) for setting, connection in site.connections.items()}
    for setting, self in selves.items():
        if self["login"] != _LOGINS[setting]:
            findings.append(WRONG_LOGIN.found(setting=setting, login=self["login"], wanted=_LOGINS[setting]))
        if self["is_read_only"]:
            findings.append(READ_ONLY.found(setting=setting))
        if setting != APP_SETTING and await site.is_pooled(setting):
            findings.append(IS_POOLER.found(setting=setting))
        if APP_SETTING in selves and self["place"] != selves[APP_SETTING]["place"]:
            findings.append(ELSEWHERE.found(setting=setting))
    return findings


async def _self(connection: DriverConnection) -> asyncpg.Record:
    (row,) = await connection.fetch(_SELF)
    return row


CHECK = Check(
    "urls",
    "Do the three URLs open, as the right logins, and lead to one database?",
    (UNREACHABLE, WRONG_LOGIN, NO_DIRECT_URL, NO_OWNER_URL, IS_POOLER, ELSEWHERE, READ_ONLY),
    find,
    needs_platform=False,
)
