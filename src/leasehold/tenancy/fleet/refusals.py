"""What a revision may not say, because it would be said in every schema alike, or could not be said twice."""

import re

from leasehold.tenancy.names import VERSION_TABLE

_COMMENTS = re.compile(r"--[^\n]*(?:\n|$)|/\*.*?\*/\s*", re.DOTALL)
_LITERALS = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_BY_HAND = re.compile(
    r"\s*(?:BEGIN|COMMIT|END|ROLLBACK|ABORT|START\s+TRANSACTION|PREPARE\s+TRANSACTION"
    r"|(?:RESET|SET)\s+(?:(?:SESSION|LOCAL)\s+)?(?:ROLE|SESSION\s+AUTHORIZATION|search_path|ALL)|DISCARD)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"\s*(?:SELECT|VALUES|TABLE|SHOW)\b", re.IGNORECASE)
_NAMED_SCHEMA = re.compile(
    r'(?<![\w."])"?(platform|public|tenant_reference|t_[0-9a-f]{32})"?\s*\.\s*["\w]', re.IGNORECASE
)
_REPEATABLE = re.compile(
    r"\s*(?:CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?!ON\b)|DROP\s+INDEX\s+CONCURRENTLY|REINDEX|VACUUM|ANALYZE)\b",
    re.IGNORECASE,
)
_DESTROYS = re.compile(
    r"\s*(?:DROP\s+(?:TABLE|SCHEMA|COLUMN|TYPE|SEQUENCE|MATERIALIZED)|TRUNCATE|DELETE\s+FROM)\b"
    r"|\s*ALTER\s+TABLE\b.*\b(?:DROP\s+(?:COLUMN\b|(?!CONSTRAINT|DEFAULT|NOT|EXPRESSION|IDENTITY)\w)|TYPE\b)",
    re.IGNORECASE | re.DOTALL,
)


def destroys(statement: str) -> bool:
    """Tell whether a statement takes away data, or may do so: what it drops, deletes or converts does not come back."""
    bare = _LITERALS.sub("''", _COMMENTS.sub("", statement))
    return bool(_DESTROYS.match(bare)) and VERSION_TABLE not in bare


def refusal_of(statement: str, *, autocommit: bool) -> str | None:
    """Return why a statement of a revision cannot be replayed in every schema, None if it can."""
    bare = _COMMENTS.sub("", statement)
    if _BY_HAND.match(bare):
        return f"it ends or leaves the transaction of the schema by hand, in `{excerpt(statement)}`"
    if _QUESTION.match(bare):
        return f"it asks the database, in `{excerpt(statement)}`, and nobody hears the answer; mark it `live = True`"
    if named := _NAMED_SCHEMA.search(_LITERALS.sub("''", bare)):
        return (
            f"it names the schema `{named[1]}`, in `{excerpt(statement)}`; a revision has no other than the bound one"
        )
    if autocommit and not _REPEATABLE.match(bare):
        return (
            f"it runs `{excerpt(statement)}` outside a transaction, which is not safe to repeat: only indexes made and "
            "dropped CONCURRENTLY under a name, REINDEX, VACUUM and ANALYZE are"
        )
    return None


def excerpt(statement: str) -> str:
    """Return the beginning of a statement, on one line."""
    return " ".join(statement.split())[:120]
