"""What an error of PostgreSQL means to a client."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from leasehold.core.errors import DatabaseUnavailable, Problem
from leasehold.core.sqlstate import ReadOnly, RowTaken, TooSlow, ValueRefused, problem_of, violated_constraint


def _error(sqlstate: str, *, constraint: str | None = None, is_invalidated: bool = False) -> DBAPIError:
    """Return an error as SQLAlchemy raises it: around its adapter's error, whose cause is the driver's."""
    cause = asyncpg.PostgresError("refused")
    cause.sqlstate = sqlstate
    cause.constraint_name = constraint
    adapted = Exception("refused")
    adapted.__cause__ = cause
    return IntegrityError("INSERT", {}, adapted, connection_invalidated=is_invalidated)


@pytest.mark.parametrize(
    ("sqlstate", "problem", "status"),
    [
        ("23505", RowTaken, 409),
        ("23503", RowTaken, 409),
        ("23514", ValueRefused, 422),
        ("23502", ValueRefused, 422),
        ("22021", ValueRefused, 422),
        ("22003", ValueRefused, 422),
        ("25006", ReadOnly, 503),
        ("40P01", TooSlow, 503),
        ("40001", TooSlow, 503),
        ("55P03", TooSlow, 503),
        ("57014", TooSlow, 503),
        ("08006", DatabaseUnavailable, 503),
        ("53300", DatabaseUnavailable, 503),
        ("57P01", DatabaseUnavailable, 503),
    ],
)
def test_what_a_client_can_do_something_about_is_a_problem(sqlstate: str, problem: type[Problem], status: int) -> None:
    found = problem_of(_error(sqlstate))
    assert type(found) is problem
    assert found.status == status


@pytest.mark.parametrize("sqlstate", ["42P01", "42501", "42703", "0A000", "XX000", "", "2"])
def test_what_is_our_own_fault_is_none(sqlstate: str) -> None:
    assert problem_of(_error(sqlstate)) is None


def test_a_connection_that_was_lost_says_so_whatever_the_error() -> None:
    assert type(problem_of(_error("42P01", is_invalidated=True))) is DatabaseUnavailable


def test_a_violated_constraint_is_named() -> None:
    assert violated_constraint(_error("23505", constraint="uq_users_email")) == "uq_users_email"
    assert violated_constraint(_error("42P01")) is None


def test_an_error_that_is_not_of_the_driver_has_no_meaning() -> None:
    error = DBAPIError("SELECT", {}, Exception("elsewhere"))
    assert problem_of(error) is None
    assert violated_constraint(error) is None
