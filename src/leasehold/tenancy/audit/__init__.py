"""The audit logs of both planes: who did what to what. Each event is written in the transaction of its act.

A tenant's log lies in its schema, that of the platform in the shared one; they have the same columns. Whoever uses them
may add and read, and PostgreSQL refuses everything else: a log that can be changed proves nothing.
"""

from leasehold.tenancy.audit.log import AuditLog, by_action

__all__ = ["AuditLog", "by_action"]
