"""The actions of the audit logs and their documentation say the same."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import PACKAGE, ROOT, python_files

_RECORDERS = {"record", "record_to", "_record", "_move", "event_row", "record_restore"}
_ACTION = re.compile(r"[a-z_]+\.[a-z_]+")


def _texts(node: ast.AST) -> Iterator[str]:
    """Yield the actions that are spelt out below a node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and _ACTION.fullmatch(inner.value):
            yield inner.value


def _recorded() -> set[str]:
    """Return every action that the code can write: in a call, in an assignment to `action`, in a table of actions."""
    found: set[str] = set()
    for path in python_files(PACKAGE):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).rpartition(".")[2]
                found |= {text for argument in node.args for text in _texts(argument) if name in _RECORDERS}
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"action", "_ACTIONS"}:
                found |= set(_texts(node.value))
    return found


def test_every_action_is_documented_and_every_documented_action_exists() -> None:
    """Prevents a log whose words nobody can look up, and filters for actions that never were."""
    documentation = (ROOT / "docs" / "reference" / "audit.md").read_text()
    rows = [line for line in documentation.splitlines() if re.match(r"\| `[a-z_]+\.[a-z_]+`", line)]
    documented = {name for row in rows for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", row.split("|")[1])}
    assert documented == _recorded()
    assert {"login.refused", "user.role_changed", "tenant.suspended", "fleet.run_started"} <= documented
