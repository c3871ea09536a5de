"""What each tenant uses of a process, counted where it happens and gathered in batches to be written down.

Counting is a few additions in memory. What is counted leaves by batches: one that could not be written is offered again
as it is, with the number it had, so that whoever writes it can tell whether it was written after all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from leasehold.core.ids import new_id

_REFUSED = 400
_FAILED = 500


class Counts:
    """What one tenant has used."""

    __slots__ = ("database_s", "errors", "received_bytes", "refused", "requests", "sent_bytes")

    def __init__(self) -> None:
        self.requests = 0
        self.refused = 0
        """How many of them were answered 4xx."""
        self.errors = 0
        """How many of them were answered 5xx."""
        self.database_s = 0.0
        """Seconds in which a transaction on the tenant's data was open, each for itself."""
        self.received_bytes = 0
        """Of request bodies, as far as they were read."""
        self.sent_bytes = 0
        """Of the bodies of answers."""

    def add(self, other: "Counts") -> None:
        """Count what another has counted, too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class HourOfTenant:
    """What a tenant has used in one hour."""

    tenant_id: UUID
    starts_at: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class UsageBatch:
    """What is to be written down at once. A meter's batches are numbered from 1, and come one after the other."""

    meter_id: UUID
    number: int
    hours: Sequence[HourOfTenant]
    """Ordered by tenant and hour, so that two processes that write at once wait for one another, and not for ever."""


class UsageMeter:
    """Counts what tenants use of one process. For one thread, as an event loop is."""

    def __init__(self) -> None:
        self._id = new_id()
        self._counts: dict[UUID, Counts] = {}
        self._waiting: dict[tuple[UUID, datetime], Counts] = {}
        self._batch: UsageBatch | None = None
        self._written = 0
        self._totals: dict[UUID, Counts] = {}
        self._grown: set[UUID] = set()

    def count_request(self, tenant_id: UUID, status: int, received_bytes: int, sent_bytes: int) -> None:
        """Count a request that was answered."""
        counts = self._counts.get(tenant_id)
        if counts is None:
            counts = self._counts[tenant_id] = Counts()
        counts.requests += 1
        counts.received_bytes += received_bytes
        counts.sent_bytes += sent_bytes
        if status >= _REFUSED:
            if status >= _FAILED:
                counts.errors += 1
            else:
                counts.refused += 1

    def count_transaction(self, tenant_id: UUID, seconds: float) -> None:
        """Count a transaction that was open for so long."""
        counts = self._counts.get(tenant_id)
        if counts is None:
            counts = self._counts[tenant_id] = Counts()
        counts.database_s += seconds

    def gather(self, now: datetime) -> None:
        """Put what was counted since the last time into the hour of `now`, to leave with the next batch."""
        counted, self._counts = self._counts, {}
        starts_at = now.replace(minute=0, second=0, microsecond=0)
        for tenant_id, counts in counted.items():
            self._waiting.setdefault((tenant_id, starts_at), Counts()).add(counts)
            self._totals.setdefault(tenant_id, Counts()).add(counts)
        self._grown |= counted.keys()

    def totals(self) -> list[tuple[UUID, Counts]]:
        """Return what tenants have used since the process started, of those that used it since this was last asked.

        Some may be named again that have not. This has nothing to do with what is written down.
        """
        grown, self._grown = self._grown | self._counts.keys(), set()
        return [(tenant_id, self._total(tenant_id)) for tenant_id in grown]

    def batch(self) -> UsageBatch | None:
        """Return the batch that was not written yet, else one of all that was gathered, None if that is nothing."""
        if self._batch is None and self._waiting:
            waiting, self._waiting = self._waiting, {}
            hours = [HourOfTenant(*key, counts) for key, counts in waiting.items()]
            hours.sort(key=lambda hour: (hour.tenant_id.int, hour.starts_at))
            self._batch = UsageBatch(self._id, self._written + 1, hours)
        return self._batch

    def written(self, batch: UsageBatch) -> None:
        """Forget a batch, for it was written down."""
        self._written, self._batch = batch.number, None

    def _total(self, tenant_id: UUID) -> Counts:
        total = Counts()
        for part in (self._totals, self._counts):
            if tenant_id in part:
                total.add(part[tenant_id])
        return total
