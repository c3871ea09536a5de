"""What an act changed, as an audit event tells it: field -> `{from, to}`.

A text that people fill freely may be somebody's name, and a secret is a secret: of such a field it is only said that it
changed, by `{}`.
"""

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import UNSET, Struct

Changes = Mapping[str, Mapping[str, object]]


def created(**fields: object) -> Changes:
    """Return the fields of something new."""
    return {name: {"from": None, "to": value} for name, value in fields.items()}


def applied(row: Any, patch: Struct, *, unkept: Collection[str] = ()) -> Changes:
    """Give a row the fields that a patch has, and return those that differ; of `unkept` ones without their values."""
    changes: dict[str, Mapping[str, object]] = {}
    for name in patch.__struct_fields__:
        before, after = getattr(row, name), getattr(patch, name)
        if after is UNSET or after == before:
            continue
        setattr(row, name, after)
        changes[name] = {} if name in unkept else {"from": before, "to": after}
    return changes
