"""What a check can find: each kind has a code that never changes, and says what is wrong and how it is mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

Severity = Literal["problem", "warning", "hint"]
_EXAMPLES = 3


class Finding(Struct):
    """Something that is not as it should be in one installation."""

    code: str
    severity: Severity
    says: str
    """What is wrong."""
    mend: str
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding. A `problem` breaks something or soon will; a `warning` can be lived with knowingly;
    a `hint` is what could be had and is not asked for.
    """

    code: str
    severity: Severity
    says: str
    """What is wrong, with what differs from finding to finding in braces."""
    mend: str

    def found(self, **values: object) -> Finding:
        """Return the finding of this kind in which the braces have these values."""
        return Finding(self.code, self.severity, self.says.format(**values), self.mend.format(**values))


def named(names: Sequence[str], *, total: int | None = None) -> str:
    """Return a few of many names, and how many more there are."""
    total = len(names) if total is None else total
    shown = list(names[:_EXAMPLES])
    left = total - len(shown)
    return ", ".join(shown) + (f" and {left} more" if left else "")
