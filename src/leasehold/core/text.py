"""What any text from a client must be before it may go to the database, and how words are written."""

import unicodedata
from collections.abc import Sequence

from leasehold.core.errors import FieldError, Invalid

TEXT_PATTERN = r"^[^\u0000]*$"
"""No NUL, which PostgreSQL cannot store. For `msgspec.Meta`, and understood by JSON Schema too."""


def normalised_words(words: Sequence[str], *, pointer: str, longest: int) -> list[str]:
    """Return words in small letters, with single spaces between their parts and none around them, each one once.

    Two that look the same are the same: they are written in Unicode's composed form (NFC).

    Raises:
        Invalid: one is blank, or has more than `longest` characters then; `pointer` is where the list stands.
    """
    found: dict[str, None] = {}
    faults: list[FieldError] = []
    for index, word in enumerate(words):
        # Twice: the small letter of a composed one may be none (U+0130).
        plain = unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", word).lower().split()))
        if not plain:
            faults.append(FieldError(f"{pointer}/{index}", "is blank"))
        elif len(plain) > longest:
            faults.append(FieldError(f"{pointer}/{index}", f"is longer than {longest} characters"))
        found[plain] = None
    if faults:
        raise Invalid(errors=faults)
    return list(found)
