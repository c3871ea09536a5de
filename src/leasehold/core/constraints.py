"""Which columns a rule of the database is about, by the rule's name: from the models, so that no catalog is asked."""

import re
from collections.abc import Mapping
from functools import cache

from sqlalchemy import CheckConstraint, Table
from sqlalchemy.schema import ColumnCollectionConstraint

from leasehold.core.models import PLATFORM_SCHEMA, PlatformModel, TenantModel

_QUOTED = re.compile(r"'[^']*'")
_WORD = re.compile(r"\w+")


def columns_of(schema: str | None, table: str | None, rule: str | None) -> tuple[str, ...]:
    """Return the columns of a constraint or a unique index, none where it is not known what it is about.

    A rule that the models do not have may have come with a newer revision: what its name says is believed then.
    """
    is_shared = schema == PLATFORM_SCHEMA
    tables = (PlatformModel if is_shared else TenantModel).metadata.tables
    found = tables.get(f"{PLATFORM_SCHEMA}.{table}" if is_shared else str(table))
    if found is None or not rule:
        return ()
    return _rules(found).get(rule) or _named(found, rule)


@cache
def _rules(table: Table) -> Mapping[str, tuple[str, ...]]:
    """Return the columns of each rule of a table that has a name."""
    rules: dict[str, tuple[str, ...]] = {}
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint):
            rules[str(constraint.name)] = _mentioned(table, str(constraint.sqltext))
        elif isinstance(constraint, ColumnCollectionConstraint):
            rules[str(constraint.name)] = tuple(column.name for column in constraint.columns)
    for index in table.indexes:
        rules[str(index.name)] = _mentioned(table, " ".join(map(str, index.expressions)))
    return rules


def _mentioned(table: Table, sql: str) -> tuple[str, ...]:
    """Return the columns whose names stand in an expression, each once."""
    return tuple(dict.fromkeys(word for word in _WORD.findall(_QUOTED.sub("", sql)) if word in table.c))


def _named(table: Table, rule: str) -> tuple[str, ...]:
    """Return the columns with which the name of a rule begins, behind its kind and its table."""
    _, _, rest = rule.partition(f"_{table.name}_")
    names, found = [column.name for column in table.c], list[str]()
    # The longest, for one name may be the beginning of another.
    while column := max((name for name in names if f"{rest}_".startswith(f"{name}_")), key=len, default=""):
        found.append(column)
        rest = rest.removeprefix(column).removeprefix("_")
    return tuple(found)
