"""The places that know resources by name, and what a new one adds to each."""

import re
from dataclasses import dataclass
from string import Template

WORKSPACE = "src/leasehold/workspace"


@dataclass(frozen=True, slots=True)
class Entry:
    """A text that is put behind the first match of a pattern in a file."""

    file: str
    behind: str
    """A regular expression."""
    text: str
    """A template."""

    def rendered(self, placeholders: dict[str, str]) -> str:
        """Return the text for one resource."""
        return Template(self.text).substitute(placeholders)

    def put_into(self, content: str, placeholders: dict[str, str]) -> str | None:
        """Return what the file is with the entry, None where it has no such place."""
        found = re.search(self.behind, content, re.MULTILINE)
        if found is None:
            return None
        return content[: found.end()] + self.rendered(placeholders) + content[found.end() :]


_SCOPES = f"{WORKSPACE}/scopes.py"
_FEATURES = f"{WORKSPACE}/features.py"
_MATRIX = "tests/api/access_matrix.py"
_ROUTES = "tests/isolation/test_routes.py"
_FACTORIES = "tests/factories.py"

ENTRIES = (
    Entry(
        _FEATURES,
        r"^from leasehold\.workspace\.\w+\.routes import \w+ as \w+\n",
        "from leasehold.workspace.$many.routes import router as ${many}_router\n",
    ),
    Entry(_FEATURES, r"^V1_ROUTES = \(\n", "    ${many}_router,\n"),
    Entry(
        _SCOPES,
        r'^Role = Literal\[.*\]\n\n(?:\w+_SCOPES = frozenset\(\{"[^}]*\}\)\n)*',
        '${ONE}_SCOPES = frozenset({"$many:read", "$many:write"})\n',
    ),
    Entry(_SCOPES, r"^ALL_SCOPES = frozenset\[str\]\(\)\.union\(\n", "    ${ONE}_SCOPES,\n"),
    Entry(_SCOPES, r'^    "member": (?:\(\n?\s*)?', "${ONE}_SCOPES | "),
    Entry("pyproject.toml", r"^containers = \[\n", '    "leasehold.workspace.$many",\n'),
    Entry(_MATRIX, r"^MEMBER_SCOPES = \{\n", '    "$many:read",\n    "$many:write",\n'),
    Entry(
        _MATRIX,
        r"^MATRIX: dict\[str, str\] = \{\n",
        '    "list$Many": "$many:read",\n'
        '    "create$One": "$many:write",\n'
        '    "get$One": "$many:read",\n'
        '    "update$One": "$many:write",\n'
        '    "delete$One": "$many:write",\n',
    ),
    Entry(
        _ROUTES,
        r"^BODIES: dict\[str, dict\[str, Any\]\] = \{\n",
        '    "create$One": {"title": "planted"},\n    "update$One": {"title": "planted"},\n',
    ),
    Entry(_ROUTES, r"^from tests\.factories import \(?", "$one, "),
    Entry(
        _ROUTES,
        r"^async def _fresh_ids\((?:.*\n)+?    return \{\n",
        '        "${one}_id": (await $one(process, tenant)).id,\n',
    ),
    Entry(
        "tests/api/test_audit_walk.py",
        r"^ACTIONS = \{\n",
        '    "create$One": {"$one.created"},\n'
        '    "update$One": {"$one.changed"},\n'
        '    "delete$One": {"$one.deleted"},\n',
    ),
    Entry(
        "docs/reference/audit.md",
        r"^## Actions in a tenant\n\n\|.*\|\n\|[-|]+\|\n",
        "| `$one.created`, `$one.changed`, `$one.deleted` | $one | somebody made, changed or deleted $a_one_words |\n",
    ),
    Entry(
        _FACTORIES,
        r"^from leasehold\.workspace\.scopes import .*\n",
        "from leasehold.workspace.$many.schemas import $One, ${One}Create\n"
        "from leasehold.workspace.$many.service import ${One}Service\n",
    ),
)
"""The order is that in which they are put in."""

FACTORIES = _FACTORIES
"""The file of the builders of tests, which gets one more at its end."""
