"""What an error of PostgreSQL means to a client, by its SQLSTATE (PostgreSQL's documentation, appendix A).

Services foresee what clients can do about, and say so in words of their own. This is the net below: a rule that no
service has thought of is still a refusal that names the field.
"""

import re
from collections.abc import Collection
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError

from leasehold.core.constraints import columns_of
from leasehold.core.errors import Conflict, DatabaseUnavailable, FieldError, Invalid, Problem, Unavailable


class ValueRefused(Invalid):
    """The database refuses a value: it breaks a rule, is out of range, or cannot be stored."""


class ReferenceMissing(ValueRefused):
    """A value names something that is not there, or not any more."""


class ReferenceGone(Conflict):
    """Something that this refers to is not there, or not any more."""


class RowTaken(Conflict):
    """There is already a row with one of these values."""


class RowInUse(Conflict):
    """Something else still refers to this."""


class ReadOnly(Unavailable):
    """Nothing can be changed at the moment, only read."""

    type = "read-only"
    title = "Read only"
    retry_after_s = 60


class TooSlow(Unavailable):
    """The database did not finish in time, or had to give way to another request."""

    type = "too-slow"
    title = "Not finished in time"


class DatabaseFull(DatabaseUnavailable):
    """The database has no room left; nothing was changed."""


LOST_CONNECTION = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""How the driver says that a connection is gone; the last is how it meets the farewell of a backend too late."""

OF_VALUES = (ValueRefused, RowTaken)
"""Problems whose faults point to columns, as if each were a field of the request."""

_DELETES = re.compile(r"(?:^|\()\s*DELETE\s", re.IGNORECASE)
_FAULTS = {
    "23505": ("is taken", "is taken together with the others"),
    "23P01": ("is taken", "is taken together with the others"),
    "23503": ("names nothing that is there", "names, together with the others, nothing that is there"),
    "23502": ("must not be null", ""),
    "23514": ("breaks a rule", "breaks a rule together with the others"),
    "54000": ("is too long", "is too long together with the others"),
}
"""What is wrong with the one column that a rule is about, or with each of several."""

_BY_CODE: dict[str, type[Problem]] = {
    "23505": RowTaken,  # unique_violation
    "23P01": RowTaken,  # exclusion_violation
    "23503": ReferenceMissing,  # foreign_key_violation, unless something is deleted
    "23001": RowInUse,  # restrict_violation
    "22001": ValueRefused,  # string_data_right_truncation
    "22003": ValueRefused,  # numeric_value_out_of_range
    "22007": ValueRefused,  # invalid_datetime_format
    "22008": ValueRefused,  # datetime_field_overflow
    "22021": ValueRefused,  # character_not_in_repertoire
    "22P02": ValueRefused,  # invalid_text_representation
    "22P05": ValueRefused,  # untranslatable_character
    "23502": ValueRefused,  # not_null_violation
    "23514": ValueRefused,  # check_violation
    "53100": DatabaseFull,  # disk_full
    "25006": ReadOnly,  # read_only_sql_transaction
    "54000": ValueRefused,  # program_limit_exceeded: too long for an index
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
    driver_error = _driver_error(error)
    if not isinstance(driver_error, asyncpg.PostgresError):
        return None
    return problem_of_driver(driver_error, statement=error.statement or "")


def is_lost(error: OSError | DBAPIError) -> bool:
    """Tell whether a connection was lost, so that nobody has heard what became of the last statement."""
    if isinstance(error, (OSError, InterfaceError)):
        return True
    return error.connection_invalidated or sqlstate_of(error).startswith(("08", "57P"))


def problem_of_driver(error: asyncpg.PostgresError, *, statement: str = "") -> Problem | None:
    """Return what to tell the client of an error of the driver, or None for what is our own fault."""
    code = error.sqlstate or ""
    if code == "23503" and _DELETES.search(statement):
        # PostgreSQL names the referring side either way. What tells them apart is in the server's language alone.
        return RowInUse()
    if code == "22000" and isinstance(error.__cause__, (OverflowError, UnicodeError)):
        return ValueRefused()  # the driver found it before PostgreSQL could
    problem = _BY_CODE.get(code) or _BY_CLASS.get(code[:2])
    if problem is None:
        return None
    return problem(errors=_faults(code, error)) if code in _FAULTS else problem()


def told_of_fields(problem: ValueRefused | RowTaken, fields: Collection[str]) -> Problem:
    """Return a problem as one of a request with these fields: no other column of the database is named.

    A reference that the request does not name is not its fault: what it refers to has gone meanwhile.
    """
    faults = [fault for fault in problem.errors if fault.pointer.removeprefix("/") in fields]
    return ReferenceGone() if isinstance(problem, ReferenceMissing) and not faults else type(problem)(errors=faults)


def violated_constraint(error: DBAPIError) -> str | None:
    """Return the name of the constraint that a statement violated."""
    return getattr(_driver_error(error), "constraint_name", None)


def sqlstate_of(error: BaseException | None) -> str:
    """Return the SQLSTATE that lies at the bottom of an error, an empty text where there is none."""
    while error is not None:
        if isinstance(error, asyncpg.PostgresError):
            return error.sqlstate or ""
        error = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error.__cause__
    return ""


def _driver_error(error: DBAPIError) -> BaseException | None:
    """Return the driver's own exception, which carries PostgreSQL's report."""
    return error.orig.__cause__ if error.orig is not None else None


def _faults(code: str, error: asyncpg.PostgresError) -> list[FieldError]:
    """Return a fault for each column that a violated rule is about."""
    report: Any = error
    columns = columns_of(report.schema_name, report.table_name, report.constraint_name) or (report.column_name,)
    alone, together = _FAULTS[code]
    return [FieldError(f"/{column}", alone if len(columns) == 1 else together) for column in columns if column]
