"""Where every statement of both kinds of session passes: what it said to whom and for how long, and never a value."""

import time

import structlog

from leasehold.core.spans import Spans
from leasehold.tenancy.context import TenantRef

_log = structlog.get_logger(__name__)


def remarked(sql: str, tenant: TenantRef) -> str:
    """Return a statement with a comment that names the tenant's revision.

    Tenants at two revisions must not share a prepared statement, for its result columns would differ.
    """
    return f"{sql} /* {tenant.revision} */"


class Statements:
    """Says what it hears of statements to who wants to know."""

    __slots__ = ("_slow_ms", "_spans")

    def __init__(self, *, slow_ms: int = 0, spans: Spans | None = None) -> None:
        self._slow_ms = slow_ms or float("inf")
        self._spans = spans

    def ended(self, sql: str, tenant: TenantRef | None, *, started: float) -> None:
        """Log a statement that was answered or has failed: each one at level debug, a slow one as a warning.

        `started` is in seconds of `time.perf_counter`.
        """
        seconds = time.perf_counter() - started
        ms = round(seconds * 1000, 2)
        tenant_id = tenant.id if tenant else None
        _log.debug("statement_ran", sql=sql, tenant=tenant_id, ms=ms)
        if ms >= self._slow_ms:
            _log.warning("statement_slow", sql=sql, tenant=tenant_id, ms=ms)
        if self._spans is not None:
            self._spans.statement(sql, tenant_id, seconds=seconds)
