"""How terms are checked and changed, those of a plan and those of a tenant alike."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET

from leasehold.config import windows_of
from leasehold.core.changes import Changes
from leasehold.core.errors import FieldError, Invalid
from leasehold.platform.plans.schemas import TermsPatch
from leasehold.tenancy.entitlements import Catalogue, Rates
from leasehold.tenancy.plans import Terms

TERMS = ("limits", "features", "rate_limits")


class InvalidTerms(Invalid):
    """The terms are not acceptable: {faults}."""

    def __init__(self, faults: Sequence[FieldError]) -> None:
        told = "; ".join(f"{fault.pointer.rpartition('/')[2]} {fault.detail}" for fault in faults)
        super().__init__(faults=told, errors=faults)


def check_terms(patch: TermsPatch, catalogue: Catalogue) -> None:
    """Pass if terms speak of what there is, and of rates that can be counted.

    Raises:
        InvalidTerms: names all that they should not say.
    """
    faults = [
        *_unknown(patch, "limits", [limit.name for limit in catalogue.limits]),
        *_unknown(patch, "features", [feature.name for feature in catalogue.features]),
        *_unknown(patch, "rate_limits", Rates._fields),
    ]
    for name, text in _said(patch, "rate_limits").items():
        try:
            windows_of(text or "off")
        except ValueError as error:
            faults.append(FieldError(_pointer("rate_limits", name), str(error)))
    if faults:
        raise InvalidTerms(faults)


def apply_terms(row: Terms, patch: TermsPatch) -> Mapping[str, Changes]:
    """Give a row the terms that a patch says, and return what has changed of each of the three."""
    found: dict[str, Changes] = {}
    for kind in TERMS:
        before: dict[str, Any] = getattr(row, kind)
        after = {name: value for name, value in (before | _said(patch, kind)).items() if value is not None}
        if after == before:
            continue
        setattr(row, kind, after)
        found[kind] = {
            name: {"from": before.get(name), "to": after.get(name)}
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        }
    if found:
        row.terms_version += 1
    return found


def _said(patch: TermsPatch, kind: str) -> dict[str, Any]:
    said = getattr(patch, kind)
    return {} if said is UNSET else said


def _unknown(patch: TermsPatch, kind: str, known: Sequence[str]) -> list[FieldError]:
    detail = f"is none of {', '.join(known)}"
    return [FieldError(_pointer(kind, name), detail) for name in _said(patch, kind) if name not in known]


def _pointer(kind: str, name: str) -> str:
    return f"/{kind}/{name.replace('~', '~0').replace('/', '~1')}"
