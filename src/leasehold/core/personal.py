"""What the columns of a tenant's tables say about people, as their models declare it.

A column is personal, with the rule by which a copy replaces its values; or a secret, which no copy keeps and nobody is
handed; or neither, which its type says or an explicit word. A test fails for a column that says nothing.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, Table

Extent = Literal["everywhere", "to_customer", "nowhere"]
"""Where the rows of a table go: into copies of the tenant and its exports, into its exports alone, or nowhere."""

_SAYS = "says_about_people"
_EXTENT = "extent"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a value is replaced: by an SQL expression over the `id` of its row, which is never that of the source."""

    sql: str


EMAIL = Rule("'user-' || replace(id::text, '-', '') || '@example.invalid'")
"""An address that is the row's own, in lower case, and that nobody can deliver to (RFC 2606, section 2)."""
EMPTY_TEXT = Rule("''")
EMPTY_LIST = Rule("'{}'::text[]")
EMPTY_OBJECT = Rule("'{}'::jsonb")
ABSENT = Rule("NULL")
UNKNOWN = Rule("sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'))")
"""A digest of 32 bytes of something that nobody knows."""


def named(noun: str) -> Rule:
    """Return the rule for a name that people give: the noun, and the end of the row's id."""
    return Rule(f"'{noun} ' || right(id::text, 4)")


@dataclass(frozen=True, slots=True)
class Personal:
    """Says something about a person; a copy that is scrubbed replaces it."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Secret:
    """Lets somebody in, or is kept from everybody; every copy replaces it, and no export shows it."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Impersonal:
    """Says nothing about a person although its type might, for a reason."""

    reason: str


Word = Personal | Secret | Impersonal


def personal(rule: Rule) -> dict[Any, Any]:
    """Return the `info` of a column that says something about a person."""
    return {_SAYS: Personal(rule)}


def secret(rule: Rule) -> dict[Any, Any]:
    """Return the `info` of a column that holds a secret, or what a secret is known by."""
    return {_SAYS: Secret(rule)}


def impersonal(reason: str) -> dict[Any, Any]:
    """Return the `info` of a column of text that says nothing about a person."""
    return {_SAYS: Impersonal(reason)}


def goes(extent: Extent) -> dict[str, Extent]:
    """Return the part of a table's `info` that says where its rows go."""
    return {_EXTENT: extent}


def word_of(column: Column[Any]) -> Word | None:
    """Return what a column declares, None where it declares nothing."""
    return column.info.get(_SAYS)


def extent_of(table: Table) -> Extent:
    """Return where the rows of a table go; everywhere, if its model does not say."""
    return table.info.get(_EXTENT, "everywhere")


def copied(column: Column[Any], *, is_scrubbed: bool) -> str | None:
    """Return the SQL of what a copy has in a column, None where it keeps the value."""
    word = word_of(column)
    if isinstance(word, Secret) or (isinstance(word, Personal) and is_scrubbed):
        return word.rule.sql
    return None
