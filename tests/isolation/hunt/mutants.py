"""Copies of the product that leak, each in a way in which such products do. A hunt must find each of them."""

import shutil
from pathlib import Path
from typing import NamedTuple

from tests.integration.cli.shell import PROJECT


class Mutant(NamedTuple):
    """What is wrong with a copy: in a file, what stands in place of what."""

    name: str
    file: str
    right: str
    wrong: str


MUTANTS = (
    Mutant(
        "a connection stays bound to whom it has served first",
        "tenancy/bind/reader.py",
        "await begin_bound(connection.execute, self._begin, before=end)",
        "await begin_bound(connection.execute, "
        'self._begin.replace("LOCAL", "") if len(connection.tenants) == 1 else "BEGIN READ ONLY", before=end)',
    ),
    Mutant(
        "what was read is remembered without its tenant",
        "workspace/items/repository.py",
        "item = await self._reader.one(ITEM_BY_ID, item_id=item_id)",
        'found = globals().setdefault("_FOUND", {})\n'
        "        item = found.get(item_id) or await self._reader.one(ITEM_BY_ID, item_id=item_id)\n"
        "        found[item_id] = item",
    ),
    Mutant(
        "a token is taken on the host of another tenant",
        "tenancy/resolve.py",
        "if any(other is not tenant for other in named):",
        "if False:",
    ),
    Mutant(
        "a cursor is good in every tenant",
        "core/listing/listing.py",
        "scope = reader.tenant_id.bytes + self._name + asked.scope",
        "scope = self._name + asked.scope",
    ),
)


def mutated(mutant: Mutant, folder: Path) -> Path:
    """Write a copy of the product with what is wrong, and return where Python finds it."""
    shutil.copytree(PROJECT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "src" / "leasehold" / mutant.file
    text = file.read_text()
    assert text.count(mutant.right) == 1, mutant
    file.write_text(text.replace(mutant.right, mutant.wrong))
    return folder / "src"
