"""Whether an OpenAPI document breaks clients that were written, or generated, for an earlier one.

What a client may send must stay acceptable, and what it is answered must stay what it was told to expect. New
operations, new optional input and new fields of answers break nobody.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_Node = Mapping[str, Any]
_METHODS = ("get", "put", "post", "patch", "delete")
_UPPER = ("maxLength", "maxItems", "maximum", "exclusiveMaximum")
_LOWER = ("minLength", "minItems", "minimum", "exclusiveMinimum")


def broken_by(new: _Node, old: _Node) -> list[str]:
    """Return what in a new document breaks clients of an old one, each with its place; nothing where nothing does."""
    return list(_Comparison(old, new).of_operations())


class _Comparison:
    """The two documents, whose references are followed."""

    def __init__(self, old: _Node, new: _Node) -> None:
        self._old = old
        self._new = new
        self._compared: set[tuple[int, int, bool]] = set()

    def of_operations(self) -> Iterator[str]:
        for path, operations in self._old["paths"].items():
            for method in _METHODS:
                if method not in operations:
                    continue
                place = f"{method.upper()} {path}"
                now = self._new["paths"].get(path, {}).get(method)
                if now is None:
                    yield f"{place}: it has gone"
                else:
                    yield from self._of_operation(operations[method], now, place)

    def _of_operation(self, old: _Node, new: _Node, place: str) -> Iterator[str]:
        if old["operationId"] != new["operationId"]:
            yield f"{place}: its id was {old['operationId']} and is {new['operationId']}"
        if more := _scopes(new) - _scopes(old):
            yield f"{place}: demands {', '.join(sorted(more))}"
        yield from self._of_parameters(old, new, place)
        yield from self._of_bodies(old.get("requestBody"), new.get("requestBody"), place)
        for status, answer in old["responses"].items():
            if status.startswith("2"):
                yield from self._of_answer(answer, new["responses"].get(status), f"{place} {status}")

    def _of_parameters(self, old: _Node, new: _Node, place: str) -> Iterator[str]:
        before, after = _parameters(old), _parameters(new)
        for name, parameter in before.items():
            if name not in after:
                yield f"{place}: takes no {name} any more"
                continue
            if after[name].get("required") and not parameter.get("required"):
                yield f"{place}: demands {name}"
            yield from self._of_schemas(parameter["schema"], after[name]["schema"], f"{place} {name}", sent=True)
        for name, parameter in after.items():
            if name not in before and parameter.get("required"):
                yield f"{place}: demands {name}"

    def _of_bodies(self, old: _Node | None, new: _Node | None, place: str) -> Iterator[str]:
        if new is None:
            return
        if new.get("required") and not (old and old.get("required")):
            yield f"{place}: demands a body"
        for media_type, content in (old or {"content": {}})["content"].items():
            if media_type not in new["content"]:
                yield f"{place}: takes no {media_type} any more"
            else:
                schema = new["content"][media_type]["schema"]
                yield from self._of_schemas(content["schema"], schema, f"{place} body", sent=True)

    def _of_answer(self, old: _Node, new: _Node | None, place: str) -> Iterator[str]:
        if new is None:
            yield f"{place}: is not answered any more"
            return
        for media_type, content in old.get("content", {}).items():
            if media_type not in new.get("content", {}):
                yield f"{place}: is not answered as {media_type} any more"
            elif "schema" in content:
                schema = new["content"][media_type].get("schema", {})
                yield from self._of_schemas(content["schema"], schema, place, sent=False)

    def _of_schemas(self, old: _Node, new: _Node, place: str, *, sent: bool) -> Iterator[str]:
        before, after = _alternatives(self._old, old), _alternatives(self._new, new)
        was, now = {kind for kind, _ in before}, {kind for kind, _ in after}
        if sent and (lost := was - now):
            yield f"{place}: cannot be {', '.join(sorted(lost))} any more"
        if not sent and "anything" not in was and (gained := now - was):
            yield f"{place}: may be {', '.join(sorted(gained))} now"
        for kind, one in before:
            # Alternatives of one kind are told apart by their order.
            for other in [schema for name, schema in after if name == kind][:1]:
                pair = id(one), id(other), sent  # for a schema may hold itself
                if pair not in self._compared:
                    self._compared.add(pair)
                    yield from self._of_values(one, other, place, sent=sent)

    def _of_values(self, old: _Node, new: _Node, place: str, *, sent: bool) -> Iterator[str]:
        yield from _of_enums(old, new, place, sent=sent)
        if sent:
            yield from _of_limits(old, new, place)
        if "items" in old and "items" in new:
            yield from self._of_schemas(old["items"], new["items"], f"{place}/-", sent=sent)
        before, after = old.get("properties", {}), new.get("properties", {})
        required_before, required_after = set(old.get("required", ())), set(new.get("required", ()))
        for name in before:
            if name not in after:
                yield f"{place}/{name}: has gone"
            else:
                yield from self._of_schemas(before[name], after[name], f"{place}/{name}", sent=sent)
        if sent:
            yield from (f"{place}/{name}: is demanded" for name in sorted(required_after - required_before))
        else:
            yield from (f"{place}/{name}: may be missing" for name in sorted(required_before - required_after))


def _of_enums(old: _Node, new: _Node, place: str, *, sent: bool) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if sent and after is not None and (before is None or before - after):
        yield f"{place}: takes only {', '.join(sorted(after))}"
    if not sent and before is not None and (after is None or after - before):
        yield f"{place}: may have values besides {', '.join(sorted(before))}"


def _of_limits(old: _Node, new: _Node, place: str) -> Iterator[str]:
    for name in _UPPER:
        if name in new and new[name] < old.get(name, float("inf")):
            yield f"{place}: {name} is {new[name]}"
    for name in _LOWER:
        if name in new and new[name] > old.get(name, float("-inf")):
            yield f"{place}: {name} is {new[name]}"
    for name in ("pattern", "format"):
        if name in new and new[name] != old.get(name):
            yield f"{place}: {name} is {new[name]}"


def _alternatives(document: _Node, schema: _Node) -> list[tuple[str, _Node]]:
    """Return what a value may be: each kind with its schema."""
    schema = _followed(document, schema)
    for name in ("oneOf", "anyOf"):
        if name in schema:
            return [found for inner in schema[name] for found in _alternatives(document, inner)]
    kinds = schema.get("type", "anything")
    return [(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]


def _followed(document: _Node, schema: _Node) -> _Node:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _values(schema: _Node) -> set[str] | None:
    if "const" in schema:
        return {str(schema["const"])}
    return {str(value) for value in schema["enum"]} if "enum" in schema else None


def _parameters(operation: _Node) -> dict[str, _Node]:
    return {f"{one['in']} {one['name']}": one for one in operation.get("parameters", ())}


def _scopes(operation: _Node) -> set[str]:
    return {scope for scheme in operation.get("security", ()) for scopes in scheme.values() for scope in scopes}
