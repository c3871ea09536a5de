"""Names of schemas that are good for clients, whose generators make classes of them."""

import re
from typing import Any

_GENERIC = re.compile(r"([A-Z][a-z]*)_(?:[\w.]+\.)?([A-Z]\w*)_")
_PREFIX = "#/components/schemas/"


class NameTaken(ValueError):
    """Two schemas would have one name: {names}."""

    def __init__(self, names: set[str]) -> None:
        super().__init__((self.__doc__ or "").format(names=", ".join(sorted(names))))


def give_plain_names(document: dict[str, Any]) -> None:
    """Call a page, or another generic, by what it holds: `ItemPage`, and not by the module in which that is defined.

    Raises:
        NameTaken: there is a schema of that name.
    """
    schemas: dict[str, Any] = document["components"]["schemas"]
    names = {name: f"{found[2]}{found[1]}" for name in schemas if (found := _GENERIC.fullmatch(name))}
    if taken := set(names.values()) & set(schemas):
        raise NameTaken(taken)
    document["components"]["schemas"] = {names.get(name, name): schema for name, schema in schemas.items()}
    for name in names.values():
        document["components"]["schemas"][name]["title"] = name
    _rename(document, {_PREFIX + old: _PREFIX + new for old, new in names.items()})


def _rename(node: Any, references: dict[str, str]) -> None:
    if isinstance(node, dict):
        members: dict[str, Any] = node  # pyright: ignore[reportUnknownVariableType]
        if members.get("$ref") in references:
            members["$ref"] = references[members["$ref"]]
        for inner in members.values():
            _rename(inner, references)
    elif isinstance(node, list):
        for inner in node:  # pyright: ignore[reportUnknownVariableType]
            _rename(inner, references)
