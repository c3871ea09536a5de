"""Names of schemas that are good for clients, whose generators make classes of them."""

import re
from typing import Any

_PAGE = re.compile(r"Page_(?:[\w.]+\.)?(\w+)_")
_PREFIX = "#/components/schemas/"


def give_plain_names(document: dict[str, Any]) -> None:
    """Call the pages of a list by what is on them: `ItemPage`, and not by the module in which that is defined."""
    schemas: dict[str, Any] = document["components"]["schemas"]
    names = {name: f"{found[1]}Page" for name in schemas if (found := _PAGE.fullmatch(name))}
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
