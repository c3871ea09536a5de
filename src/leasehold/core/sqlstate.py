"""What an error of PostgreSQL means to a client, by its SQLSTATE (PostgreSQL's documentation, appendix A)."""

import asyncpg
from sqlalchemy.exc import DBAPIError

from leasehold.core.errors import Conflict, DatabaseUnavailable, Invalid, Problem, Unavailable


class ValueRefused(Invalid):
    """The database refuses a value: it is out of range, or has a character that cannot be stored."""


class RowTaken(Conflict):
    """There is already a row with one of these values, or this one is still in use."""


class ReadOnly(Unavailable):
    """Nothing can be changed at the moment, only read."""

    type = "read-only"
    title = "Read only"
    retry_after_s = 60


class TooSlow(Unavailable):
    """The database did not finish in time, or had to give way to another request."""

    type = "too-slow"
    title = "Not finished in time"


LOST_CONNECTION = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""How the driver says that a connection is gone; the last is how it meets the farewell of a backend too late."""

_BY_CODE: dict[str, type[Problem]] = {
    "23505": RowTaken,  # unique_violation
    "23503": RowTaken,  # foreign_key_violation
    "22001": ValueRefused,  # string_data_right_truncation
    "22003": ValueRefused,  # numeric_value_out_of_range
    "22007": ValueRefused,  # invalid_datetime_format
    "22008": ValueRefused,  # datetime_field_overflow
    "22021": ValueRefused,  # character_not_in_repertoire
    "22P02": ValueRefused,  # invalid_text_representation
    "22P05": ValueRefused,  # untranslatable_character
    "23502": ValueRefused,  # not_null_violation
    "23514": ValueRefused,  # check_violation
    "25006": ReadOnly,  # read_only_sql_transaction
    "40001": TooSlow,  # serialization_failure
    "40P01": TooSlow,  # deadlock_detected
    "55P03": TooSlow,  # lock_not_available
    "57014": TooSlow,  # query_canceled
}
_BY_CLASS: dict[str, type[Problem]] = {
    "08": DatabaseUnavailable,  # connection exceptions
    "53": DatabaseUnavailable,  # insufficient resources
    "57": DatabaseUnavailable,  # operator intervention
}


def problem_of(error: DBAPIError) -> Problem | None:
    """Return what to tell the client, or None for what is our own fault."""
    if error.connection_invalidated:
        return DatabaseUnavailable()
    return problem_of_code(_field(error, "sqlstate") or "")


def problem_of_code(code: str) -> Problem | None:
    """Return what to tell the client of an error with this SQLSTATE, or None for what is our own fault."""
    problem = _BY_CODE.get(code) or _BY_CLASS.get(code[:2])
    return problem() if problem else None


def violated_constraint(error: DBAPIError) -> str | None:
    """Return the name of the constraint that a statement violated."""
    return _field(error, "constraint_name")


def sqlstate_of(error: BaseException | None) -> str:
    """Return the SQLSTATE that lies at the bottom of an error, an empty text where there is none."""
    while error is not None:
        if isinstance(error, asyncpg.PostgresError):
            return error.sqlstate or ""
        error = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error.__cause__
    return ""


def _field(error: DBAPIError, name: str) -> str | None:
    """Return a field of PostgreSQL's report, which the driver's own exception carries."""
    driver_error = error.orig.__cause__ if error.orig is not None else None
    return getattr(driver_error, name, None)
