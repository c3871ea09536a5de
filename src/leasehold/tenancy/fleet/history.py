"""The tenant history: Alembic's revisions, in one line with one head."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError

RELATIVE = re.compile(r"[+-][0-9]+")
"""How a revision is named by its distance from where a schema stands."""


class BrokenHistory(RuntimeError):
    """The migration history cannot be used: {reason}"""

    def __init__(self, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(reason=reason))


class UnknownRevision(ValueError):
    """The tenant history has no revision {revision}."""

    def __init__(self, revision: str) -> None:
        super().__init__((self.__doc__ or "").format(revision=revision))


class DatabaseNewer(RuntimeError):
    """{what} stands at revision {revision}, which this code does not know: the database is newer than the code."""

    def __init__(self, what: str, revision: str) -> None:
        super().__init__((self.__doc__ or "").format(what=what, revision=revision))


def open_scripts(migrations_dir: Path, name: Literal["platform", "tenant"]) -> ScriptDirectory:
    """Return the revisions of a history.

    Raises:
        BrokenHistory: there is no such folder.
    """
    folder = migrations_dir / name
    if not (folder / "versions").is_dir():
        raise BrokenHistory(f"there is no folder {folder}; LEASEHOLD_MIGRATIONS_DIR names the one with both histories.")
    return ScriptDirectory(str(folder))


@dataclass(frozen=True, slots=True)
class TenantHistory:
    """The revisions of the tenant schemas, oldest first."""

    script: ScriptDirectory
    revisions: tuple[str, ...]

    @classmethod
    def load(cls, migrations_dir: Path) -> "TenantHistory":
        """Read the history from its folder.

        Raises:
            BrokenHistory: no revision, or more than one head.
        """
        try:
            script = open_scripts(migrations_dir, "tenant")
            heads = script.get_heads()
            revisions = list(script.walk_revisions())
        except (CommandError, RevisionError) as error:
            raise BrokenHistory(str(error)) from error
        except KeyError as error:
            raise BrokenHistory(f"revision {error} is missing.") from error
        if len(heads) != 1:
            raise BrokenHistory(f"it has {len(heads)} heads ({', '.join(heads) or 'no revision'}), not one.")
        if merges := [revision.revision for revision in revisions if isinstance(revision.down_revision, tuple)]:
            raise BrokenHistory(f"it is not one line: {', '.join(merges)} merges branches.")
        return cls(script, tuple(reversed([revision.revision for revision in revisions])))

    @property
    def head(self) -> str:
        """The newest revision."""
        return self.revisions[-1]

    def resolve(self, revision: str) -> str:
        """Return the full id of a revision given as `head`, in full or by a unique beginning.

        Raises:
            UnknownRevision: there is no such revision, or more than one.
        """
        if revision == "head":
            return self.head
        found = [known for known in self.revisions if revision and known.startswith(revision)]
        if revision in found:
            return revision
        if len(found) != 1:
            raise UnknownRevision(revision)
        return found[0]

    def resolve_from(self, current: str, revision: str) -> str:
        """Return the full id of a revision that may be given relative to `current`, as `-1` or `+2`.

        Raises:
            UnknownRevision: there is no such revision.
        """
        if not RELATIVE.fullmatch(revision):
            return self.resolve(revision)
        if current not in self.revisions:
            raise UnknownRevision(current)
        position = self.revisions.index(current) + int(revision)
        if not 0 <= position < len(self.revisions):
            raise UnknownRevision(revision)
        return self.revisions[position]

    def served_by(self, revision: str) -> str:
        """Return the oldest head that code may have been built with and still serve a schema at this revision.

        A revision that says nothing is an expansion: it is served by whatever served the one before it.
        """
        position = self.revisions.index(revision)
        for candidate in reversed(self.revisions[: position + 1]):
            declared = self._declared(candidate, "served_by")
            if declared is not None:
                return self.resolve(declared)
        return self.revisions[0]

    def contractions(self) -> frozenset[str]:
        """Return the revisions that shut out older code, for they take something away."""
        return frozenset(revision for revision in self.revisions if self._declared(revision, "served_by") is not None)

    def served_revisions(self) -> Sequence[str]:
        """Return the revisions that code with this history can serve: head, and those before it as far as it works.

        A revision without which the code works too, an index for example, says `is_needed = False`.
        """
        oldest = len(self.revisions) - 1
        while oldest > 0 and self._declared(self.revisions[oldest], "is_needed") is False:
            oldest -= 1
        return self.revisions[oldest:]

    def path(self, start: str | None, target: str) -> Sequence[str]:
        """Return the revisions that an upgrade from `start` (None: an empty schema) to `target` applies."""
        first = 0 if start is None else self.revisions.index(start) + 1
        return self.revisions[first : self.revisions.index(target) + 1]

    def is_downgrade(self, start: str | None, target: str) -> bool:
        """Tell whether a way from `start` to `target` leads back."""
        if start is None or target not in self.revisions:
            return False
        return self.revisions.index(target) < self.revisions.index(start)

    def steps(self, start: str | None, target: str, heads: Any) -> Iterable[RevisionStep]:
        """Return Alembic's steps from where `heads` stand to a revision, up or down."""
        goes_back = target == "base" or self.is_downgrade(start, target)
        plan = self.script._downgrade_revs if goes_back else self.script._upgrade_revs  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return cast("Iterable[RevisionStep]", plan(target, heads))

    def is_live(self, revision: str) -> bool:
        """Tell whether a revision looks at each schema, and so must be run there instead of being rendered."""
        return bool(self._declared(revision, "live"))

    def on_empty(self, revision: str | None) -> str | None:
        """Return what a live revision does in a schema without rows: "skip", SQL, or None where it does not say."""
        return None if revision is None else self._declared(revision, "on_empty")

    def _declared(self, revision: str, name: str) -> Any:
        return getattr(self.script.get_revision(revision).module, name, None)
