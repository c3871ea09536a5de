"""What an error of PostgreSQL means to a client."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from leasehold.core.errors import DatabaseUnavailable, FieldError, Problem
from leasehold.core.sqlstate import (
    ReadOnly,
    ReferenceMissing,
    RowInUse,
    RowTaken,
    TooSlow,
    ValueRefused,
    problem_of,
    problem_of_driver,
    violated_constraint,
)


def _error(
    sqlstate: str, *, statement: str = "INSERT", is_invalidated: bool = False, **report: str | None
) -> DBAPIError:
    """Return an error as SQLAlchemy raises it: around its adapter's error, whose cause is the driver's."""
    cause = asyncpg.PostgresError("refused")
    cause.sqlstate = sqlstate
    for name, value in report.items():
        setattr(cause, name, value)
    adapted = Exception("refused")
    adapted.__cause__ = cause
    return IntegrityError(statement, {}, adapted, connection_invalidated=is_invalidated)


@pytest.mark.parametrize(
    ("sqlstate", "problem", "status"),
    [
        ("23505", RowTaken, 409),
        ("23P01", RowTaken, 409),
        ("23503", ReferenceMissing, 422),
        ("23001", RowInUse, 409),
        ("23514", ValueRefused, 422),
        ("23502", ValueRefused, 422),
        ("22021", ValueRefused, 422),
        ("22001", ValueRefused, 422),
        ("22003", ValueRefused, 422),
        ("25006", ReadOnly, 503),
        ("22P02", ValueRefused, 422),
        ("54000", ValueRefused, 422),
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


@pytest.mark.parametrize("sqlstate", ["42P01", "42501", "42703", "0A000", "22000", "22012", "XX000", "", "2"])
def test_what_is_our_own_fault_is_none(sqlstate: str) -> None:
    assert problem_of(_error(sqlstate)) is None


def test_a_connection_that_was_lost_says_so_whatever_the_error() -> None:
    assert type(problem_of(_error("42P01", is_invalidated=True))) is DatabaseUnavailable


def test_a_violated_constraint_is_named() -> None:
    assert violated_constraint(_error("23505", constraint_name="uq_users_email")) == "uq_users_email"
    assert violated_constraint(_error("42P01")) is None


def test_an_error_that_is_not_of_the_driver_has_no_meaning() -> None:
    error = DBAPIError("SELECT", {}, Exception("elsewhere"))
    assert problem_of(error) is None
    assert violated_constraint(error) is None


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM users WHERE users.id = $1", RowInUse),
        ("\n  delete from users", RowInUse),
        ("WITH gone AS (DELETE FROM users RETURNING id) SELECT id FROM gone", RowInUse),
        ("INSERT INTO items (title) VALUES ($1)", ReferenceMissing),
        ("UPDATE items SET owner_id = $1", ReferenceMissing),
        ("UPDATE items SET deleted_at = $1", ReferenceMissing),
    ],
)
def test_what_others_refer_to_is_told_from_a_reference_to_nothing(statement: str, problem: type[Problem]) -> None:
    assert type(problem_of(_error("23503", statement=statement))) is problem


@pytest.mark.parametrize(
    ("sqlstate", "table", "rule", "faults"),
    [
        ("23505", "users", "uq_users_email", [FieldError("/email", "is taken")]),
        ("23503", "items", "fk_items_owner_id", [FieldError("/owner_id", "names nothing that is there")]),
        ("23514", "items", "ck_items_tags_count", [FieldError("/tags", "breaks a rule")]),
        ("54000", "items", "ix_items_owner_id", [FieldError("/owner_id", "is too long")]),
        (
            "23505",
            "confirmations",
            "uq_confirmations_user_id_purpose",
            [
                FieldError("/user_id", "is taken together with the others"),
                FieldError("/purpose", "is taken together with the others"),
            ],
        ),
        ("23505", "nothing", "uq_nothing_email", []),
    ],
)
def test_a_violated_rule_names_the_columns_that_it_is_about(
    sqlstate: str, table: str, rule: str, faults: list[FieldError]
) -> None:
    found = problem_of(_error(sqlstate, schema_name="t_1", table_name=table, constraint_name=rule))
    assert found is not None
    assert list(found.errors) == faults


def test_a_missing_value_names_its_column() -> None:
    found = problem_of(_error("23502", schema_name="t_1", table_name="items", column_name="title"))
    assert found is not None
    assert found.errors == (FieldError("/title", "must not be null"),)


def test_a_value_that_the_driver_cannot_write_is_refused_but_one_of_the_wrong_type_is_our_own_fault() -> None:
    for cause, problem in ((OverflowError(), ValueRefused), (UnicodeError(), ValueRefused), (TypeError(), type(None))):
        error = asyncpg.DataError("invalid input for query argument $1")
        error.__cause__ = cause
        assert type(problem_of_driver(error)) is problem
