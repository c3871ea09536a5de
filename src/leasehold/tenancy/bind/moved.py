"""Requests that were let in before their tenant was migrated or put back, and met its schema afterwards.

A process hears of such a move within a second, and a statement may wait behind one. What then fails because a column or
a table has gone, or because a rule has come, is no fault of the code or of whoever asks, if the tenant has moved
meanwhile: whoever asks is to come back.
"""

from collections.abc import Iterable
from typing import Any

from leasehold.core.errors import Problem
from leasehold.core.sqlstate import sqlstate_of
from leasehold.tenancy.context import TenantPutBack, TenantRef
from leasehold.tenancy.window import TenantNotMigrated

PLACE = """
SELECT revision, schema_name,
       EXISTS (SELECT FROM platform.tenant_restores r
                WHERE r.tenant_id = t.id AND r.set_aside_at > now() - interval '1 minute')
  FROM platform.tenants t WHERE id = $1
"""
"""Asks where a tenant stands, where it lives, and whether it was put back lately: it may have moved there and back."""

_SHAPE = frozenset(
    {
        "42703",  # undefined_column
        "42P01",  # undefined_table
        "42883",  # undefined_function
        "42804",  # datatype_mismatch
        "0A000",  # cached plan must not change result type
        "23502",  # not_null_violation
        "23514",  # check_violation
        "22023",  # invalid_parameter_value: there is no such role any more
        "3F000",  # invalid_schema_name
        "42501",  # insufficient_privilege: no tenant has this role any more
    }
)


def is_about_shape(error: BaseException) -> bool:
    """Tell whether an error may come from a schema that is not the one the code was written for, or of the tenant."""
    return sqlstate_of(error) in _SHAPE


def moved(tenant: TenantRef, place: Iterable[Any] | None) -> Problem | None:
    """Return what to tell whoever asked for a tenant that is elsewhere now, None if it has not moved."""
    if place is None:
        return None
    revision, schema, was_put_back = place
    if schema != tenant.schema or was_put_back:
        return TenantPutBack()
    return TenantNotMigrated() if revision != tenant.revision else None
