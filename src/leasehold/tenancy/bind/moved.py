"""Requests that were let in before their tenant was migrated, and met its schema afterwards.

A process hears of a migration within a second, and a statement may wait behind one. What then fails because a column or
a table has gone, or because a rule has come, is no fault of the code or of whoever asks, if the tenant has moved
meanwhile: whoever asks is to come back.
"""

from leasehold.core.sqlstate import sqlstate_of

REVISION = "SELECT revision FROM platform.tenants WHERE id = $1"

_SHAPE = frozenset(
    {
        "42703",  # undefined_column
        "42P01",  # undefined_table
        "42883",  # undefined_function
        "42804",  # datatype_mismatch
        "0A000",  # cached plan must not change result type
        "23502",  # not_null_violation
        "23514",  # check_violation
    }
)


def is_about_shape(error: BaseException) -> bool:
    """Tell whether an error may come from a schema that is not the one the code was written for."""
    return sqlstate_of(error) in _SHAPE
