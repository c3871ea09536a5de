"""What every column of a tenant's tables says about people: a copy that is scrubbed, and an export, go by it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import INET, JSONB

from leasehold.core.models import TenantModel
from leasehold.core.personal import EMAIL, Impersonal, extent_of, goes, impersonal, personal, word_of
from leasehold.workspace.features import V1_ROUTES

assert V1_ROUTES, "importing them registers the tables of a tenant"

_TYPES_THAT_NAME_NOBODY = (Uuid, DateTime, Boolean, Integer, BigInteger, Numeric)


def undeclared(metadata: MetaData) -> Iterator[str]:
    """Yield the columns of which neither the type nor a closed vocabulary nor the model says what they are.

    A table whose rows go nowhere says it for all its columns: no copy and no export has any of them.
    """
    for table in metadata.sorted_tables:
        for column in table.columns:
            is_plain = isinstance(column.type, _TYPES_THAT_NAME_NOBODY) or _is_of_a_closed_vocabulary(table, column)
            if extent_of(table) != "nowhere" and not is_plain and word_of(column) is None:
                yield str(column)


def _is_of_a_closed_vocabulary(table: Table, column: Column[Any]) -> bool:
    checks = [str(one.sqltext) for one in table.constraints if isinstance(one, CheckConstraint)]
    return any(re.fullmatch(rf"{column.name} IN \((?:'[a-z_]+'(?:, )?)+\)", check) for check in checks)


def test_every_column_says_what_it_tells_about_people() -> None:
    """Prevents a new column whose names and addresses a scrubbed copy would carry out of production."""
    assert list(undeclared(TenantModel.metadata)) == []


@pytest.mark.parametrize("kind", [Text, JSONB, LargeBinary, INET, ARRAY(Text)])
def test_a_column_that_says_nothing_is_found(kind: Any) -> None:
    planted = MetaData()
    Table("visits", planted, Column("id", Uuid, primary_key=True), Column("visitor", kind))
    assert list(undeclared(planted)) == ["visits.visitor"]


def test_a_check_that_is_no_closed_vocabulary_says_nothing() -> None:
    planted = MetaData()
    checks = (CheckConstraint("visitor = lower(visitor)"), CheckConstraint("kind IN ('first', 'second')"))
    Table("visits", planted, Column("visitor", Text), Column("kind", Text), *checks)
    assert list(undeclared(planted)) == ["visits.visitor"]


def test_a_word_of_the_model_is_enough() -> None:
    planted = MetaData()
    Table(
        "visits", planted, Column("visitor", Text, info=personal(EMAIL)), Column("page", Text, info=impersonal("ours"))
    )
    Table("seen", planted, Column("visitor", Text), info=goes("nowhere"))
    assert list(undeclared(planted)) == []


def test_whoever_calls_a_column_impersonal_says_why() -> None:
    words = [word_of(column) for table in TenantModel.metadata.sorted_tables for column in table.columns]
    assert all(word.reason for word in words if isinstance(word, Impersonal))
