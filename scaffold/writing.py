"""The skeleton of one resource: what is written anew, what is added where, and what is left to do by hand."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from alembic.script import ScriptDirectory
from alembic.util import rev_id

from scaffold.registers import ENTRIES, FACTORIES, WORKSPACE
from scaffold.words import Refused, Words

_TEMPLATES = Path(__file__).parent / "resource"
_ROLES = ("__init__", "models", "repository", "schemas", "service", "routes")


@dataclass(frozen=True, slots=True)
class Skeleton:
    """All that a new resource writes, by its place in the checkout."""

    new: dict[str, str] = field(default_factory=dict[str, str])
    changed: dict[str, str] = field(default_factory=dict[str, str])
    by_hand: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What could not be put into a file, because it has not the place that it should stand in."""

    def write(self, root: Path) -> None:
        """Write it, and let ruff sort imports and lay out lines."""
        for place, text in (self.new | self.changed).items():
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        files = [place for place in self.new | self.changed if place.endswith(".py")]
        for command in (["check", "--select", "I", "--fix"], ["format"]):
            subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", *files], cwd=root, check=True)


def skeleton_of(words: Words, root: Path) -> Skeleton:
    """Return the skeleton of a resource for a checkout, in which nothing is changed yet.

    Raises:
        Refused: something of that name is there, or the tenant history has not one head.
    """
    placeholders = words.placeholders()
    _demand_free(words, placeholders, root)
    revision, down_revision = _next_revision(root)
    names = placeholders | {"revision": revision, "down_revision": down_revision}
    folder = f"{WORKSPACE}/{words.many}"
    skeleton = Skeleton()
    for role in _ROLES:
        skeleton.new[f"{folder}/{role}.py"] = _rendered(role, names)
    skeleton.new[f"migrations/tenant/versions/{revision}_{words.many}.py"] = _rendered("migration", names)
    skeleton.new[f"tests/api/test_{words.many}.py"] = _rendered("test", names)
    for place in skeleton.new:
        if (root / place).exists():
            raise Refused(f"`{place}` is there already.")
    for entry in ENTRIES:
        content = skeleton.changed.get(entry.file) or (root / entry.file).read_text()
        changed = entry.put_into(content, placeholders)
        if changed is None:
            skeleton.by_hand.setdefault(entry.file, []).append(entry.rendered(placeholders))
        else:
            skeleton.changed[entry.file] = changed
    skeleton.changed[FACTORIES] = skeleton.changed.get(FACTORIES, (root / FACTORIES).read_text()) + _rendered(
        "factory", names
    )
    for place, text in (skeleton.new | skeleton.changed).items():
        if place.endswith(".py"):
            _demand_unhidden(place, text, words.identifiers())
    return skeleton


def _rendered(template: str, names: dict[str, str]) -> str:
    return Template((_TEMPLATES / f"{template}.py.tmpl").read_text()).substitute(names)


def _next_revision(root: Path) -> tuple[str, str]:
    heads = ScriptDirectory(str(root / "migrations" / "tenant")).get_heads()
    if len(heads) != 1:
        raise Refused(f"The tenant history has {len(heads)} heads; make one of them first.")
    (head,) = heads
    return (f"{int(head) + 1:0{len(head)}}" if head.isdecimal() else rev_id()), head


def _demand_free(words: Words, placeholders: dict[str, str], root: Path) -> None:
    """Pass if no feature, table, address, operation or schema of the API has a name of the new resource."""
    workspace = root / WORKSPACE
    if (workspace / words.many).exists() or (workspace / f"{words.many}.py").exists():
        raise Refused(f"`{WORKSPACE}/{words.many}` is there already.")
    table = re.compile(rf'^\s*(?:__tablename__|TABLE) = "{words.many}"', re.MULTILINE)
    for path in sorted((root / "src").rglob("*.py")):
        if table.search(path.read_text()):
            raise Refused(f"`{path.relative_to(root)}` has a table `{words.many}` already.")
    document: dict[str, Any] = json.loads((root / "docs" / "reference" / "openapi.json").read_text())
    One, Many = placeholders["One"], placeholders["Many"]  # noqa: N806
    if f"/v1/{placeholders['path']}" in document["paths"]:
        raise Refused(f"The API has an address `/v1/{placeholders['path']}` already.")
    for name in (One, f"{One}Create", f"{One}Patch", f"{One}Page"):
        if name in document["components"]["schemas"]:
            raise Refused(f"The API has a schema `{name}` already.")
    operations = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    for name in (f"list{Many}", f"create{One}", f"get{One}", f"update{One}", f"delete{One}"):
        if name in operations:
            raise Refused(f"The API has an operation `{name}` already.")


def _demand_unhidden(place: str, text: str, identifiers: set[str]) -> None:
    """Pass if no name that the resource brings into a file is bound there by anything else."""
    tree = ast.parse(text)
    bound = list(_bound_by(tree.body))
    inner = {name for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) for name in _locals_of(node)}
    for name in sorted(identifiers):
        if bound.count(name) > 1 or (name in bound and name in inner):
            raise Refused(f"`{name}` means something else in `{place}` already; take another name.")


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _bound_by(statements: list[ast.stmt]) -> Iterator[str]:
    for node in statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _locals_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
