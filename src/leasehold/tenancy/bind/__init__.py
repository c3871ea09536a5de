"""The only maker of sessions on tenant data: one transaction, one tenant.

Path and role are set inside the transaction, in the same message as its BEGIN. So they cost no round trip, end with
the transaction whatever happens, and cannot reach the next user of a pooled connection, nor through a pooler in
transaction mode. Setting them on the connection instead, to be undone later, is how tenants leak.

There are two kinds, told apart by type: a `TenantReader` can only read, and costs little more than its query; a
`TenantSession` is Advanced Alchemy's, for all that writes.
"""

from leasehold.tenancy.bind.binding import binding_sql
from leasehold.tenancy.bind.pool import ReaderPool
from leasehold.tenancy.bind.reader import TenantReader, tenant_reader
from leasehold.tenancy.bind.session import (
    RESET_ROLE,
    BindableConnection,
    OpenSession,
    TenantSession,
    Unbound,
    announce_revocation,
    driver_under,
    leave_role,
    note_met,
    open_tenant_session,
    prepare_engine,
    record_call,
)
from leasehold.tenancy.bind.trace import Statements

__all__ = [
    "RESET_ROLE",
    "BindableConnection",
    "OpenSession",
    "ReaderPool",
    "Statements",
    "TenantReader",
    "TenantSession",
    "Unbound",
    "announce_revocation",
    "binding_sql",
    "driver_under",
    "leave_role",
    "note_met",
    "open_tenant_session",
    "prepare_engine",
    "record_call",
    "tenant_reader",
]
