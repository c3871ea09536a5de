"""Where every statement of both kinds of session passes: what it said to whom and for how long, and never a value."""

import time

import structlog

from leasehold.tenancy.context import TenantRef

_log = structlog.get_logger(__name__)


def remarked(sql: str, tenant: TenantRef) -> str:
    """Return a statement with a comment that names the tenant's revision.

    Tenants at two revisions must not share a prepared statement, for its result columns would differ.
    """
    return f"{sql} /* {tenant.revision} */"


def trace(sql: str, tenant: TenantRef | None, *, started: float) -> None:
    """Log a statement that was answered or has failed, for who wants to know (level debug).

    `started` is in seconds of `time.perf_counter`.
    """
    ms = round((time.perf_counter() - started) * 1000, 2)
    _log.debug("statement_ran", sql=sql, tenant=tenant.id if tenant else None, ms=ms)
