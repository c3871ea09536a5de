"""The series of single tenants, of which there are never more than a set number, and one for all others."""

from collections.abc import Iterable
from uuid import UUID

from msgspec import Struct

from leasehold.core.figures.family import Family, Kind, Sample
from leasehold.core.usage import Counts

OTHER = "other"
_FADING = 0.8
"""What is left of a tenant's weight from one look to the next: who was busy once gives way to who is busy now."""
_FIGURES = (
    ("leasehold_tenant_requests", "Requests of the busiest tenants, and of all others together"),
    ("leasehold_tenant_refused", "Requests that were answered 4xx, of the same tenants"),
    ("leasehold_tenant_errors", "Requests that were answered 5xx, of the same tenants"),
    ("leasehold_tenant_database_seconds", "Seconds in which transactions on a tenant's data were open, of the same"),
)


class TenantTotal(Struct, array_like=True):
    """What a tenant has used of one process since that started."""

    tenant_id: UUID
    slug: str
    values: list[float]

    @classmethod
    def of(cls, tenant_id: UUID, slug: str, counts: Counts) -> "TenantTotal":
        """Return what was counted of a tenant."""
        return cls(tenant_id, slug, [counts.requests, counts.refused, counts.errors, counts.database_s])


class _Known:
    """What is known of a tenant."""

    __slots__ = ("by_process", "slug", "told", "weight")

    def __init__(self) -> None:
        self.slug = ""
        self.by_process: dict[str, list[float]] = {}
        self.told = _nothing()
        """What of it stands in the tenant's own series."""
        self.weight = 0.0


class TenantFigures:
    """Chooses the busiest tenants, and adds what is new either to a tenant's own series or to that of the others.

    So every series only grows, whoever is chosen: a tenant that is chosen again goes on with what it had told, and what
    was counted for it meanwhile stays with the others.
    """

    def __init__(self, *, series: int) -> None:
        self._series = series
        self._known: dict[UUID, _Known] = {}
        self._others = _nothing()
        self._chosen: list[UUID] = []

    def take(self, process: str, totals: Iterable[TenantTotal]) -> None:
        """Take in what tenants have used of one process, of those that used it since the last time."""
        for total in totals:
            known = self._known.setdefault(total.tenant_id, _Known())
            known.slug = total.slug
            before = known.by_process.get(process) or _nothing()
            more = [now - then for now, then in zip(total.values, before, strict=True)]
            known.by_process[process] = total.values
            known.weight += more[0]
            told = known.told if total.tenant_id in self._chosen else self._others
            told[:] = [one + other for one, other in zip(told, more, strict=True)]

    def families(self) -> list[Family]:
        """Return the series, and choose the tenants that have some the next time."""
        if not self._series:
            return []
        known = [(str(tenant_id), self._known[tenant_id]) for tenant_id in self._chosen]
        rows = [*((tenant, one.slug, one.told) for tenant, one in known), (OTHER, OTHER, self._others)]
        families = [
            Family(
                name,
                Kind.COUNTER,
                told,
                [Sample((tenant, slug), [values[number]]) for tenant, slug, values in rows],
                ("tenant", "slug"),
            )
            for number, (name, told) in enumerate(_FIGURES)
        ]
        self._choose()
        return families

    def _choose(self) -> None:
        busy = [(one.weight, tenant_id) for tenant_id, one in self._known.items() if one.weight >= 1]
        self._chosen = [tenant_id for _, tenant_id in sorted(busy, reverse=True)[: self._series]]
        for one in self._known.values():
            one.weight *= _FADING


def _nothing() -> list[float]:
    return [0.0] * len(_FIGURES)
