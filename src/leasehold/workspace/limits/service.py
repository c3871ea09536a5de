"""Holds a tenant to its limits where something is made: exactly, however many make something at once.

What is not limited costs nothing. What is costs one statement, which locks a row to the end of the transaction, so that
those who make the same thing in the same tenant do so one after another; it is to be the last thing before the making.
Only when room is used up are the rows counted.
"""

from leasehold.core.actor import Actor
from leasehold.core.errors import Forbidden
from leasehold.core.reads import Reader
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.entitlements import Limit
from leasehold.workspace.catalogue import CATALOGUE, STORAGE
from leasehold.workspace.limits.repository import LimitReads, LimitRepository
from leasehold.workspace.limits.schemas import OwnLimit, OwnLimits


class LimitExceeded(Forbidden):
    """The plan of this tenant allows no more of {limit}."""

    type = "limit-exceeded"
    title = "Limit exceeded"

    def __init__(self, limit: str, *, allowed: int, used: int) -> None:
        super().__init__(limit=limit, extensions={"limit": limit, "allowed": allowed, "used": used})

    def for_strangers(self) -> "LimitExceeded":
        """Return the same without numbers: how many users there are is nobody's business who is none."""
        self.extensions = {"limit": self.extensions["limit"]}
        return self


class LimitService:
    """The limits of the bound tenant, for one unit of work."""

    def __init__(self, session: object) -> None:
        if not isinstance(session, TenantSession):
            raise TypeError("what is limited is made on the session of a tenant")
        self._limits = session.tenant.entitlements.limits
        self._repository = LimitRepository(session)

    async def demand(self, limit: Limit, wanted: int = 1, *, made: int = 0, by: Actor | None = None) -> None:
        """Pass if so much more may be made, and take the room for it. `made` of it has been made already, but not
        committed.

        Raises:
            LimitExceeded: it may not; to a stranger without numbers.
        """
        granted, refusal = await self._take(limit, wanted, made)
        if granted < wanted and refusal is not None:
            raise refusal.for_strangers() if by is not None and by.kind == "anonymous" else refusal

    async def take(self, limit: Limit, wanted: int) -> tuple[int, LimitExceeded | None]:
        """Take room for as much of it as may be made; return how much, and the refusal for the rest if there is any."""
        return await self._take(limit, wanted, 0)

    async def demand_storage(self) -> None:
        """Pass if the tenant's tables are smaller than they may be, by the size of their files at this moment.

        Raises:
            LimitExceeded: they are not.
        """
        most = self._limits.get(STORAGE.name)
        if most is not None and (used := await self._repository.used(STORAGE)) >= most:
            raise LimitExceeded(STORAGE.name, allowed=most, used=used)

    def allows(self, limit: Limit, count: int) -> bool:
        """Tell whether so much could be made if there were nothing yet."""
        most = self._limits.get(limit.name)
        return most is None or count <= most

    async def _take(self, limit: Limit, wanted: int, made: int) -> tuple[int, LimitExceeded | None]:
        most = self._limits.get(limit.name)
        if most is None or wanted == 0 or await self._repository.take_known(limit, wanted):
            return wanted, None
        used = await self._repository.used(limit) - made
        # Who is refused makes nobody wait: many who ask in vain would else hold a connection each, one behind another.
        if used < most:
            await self._repository.lock(limit)
            used = await self._repository.used(limit) - made
        room = max(most - used, 0)
        granted = min(wanted, room)
        if granted:
            await self._repository.set_room(limit, room - granted)
        return granted, LimitExceeded(limit.name, allowed=most, used=used) if granted < wanted else None


async def describe_limits(reader: Reader, tenant: TenantRef) -> OwnLimits:
    """Return what a tenant may have, and what of it is used now; of what can be used up, and of features."""
    entitlements, reads = tenant.entitlements, LimitReads(reader)
    limits: list[OwnLimit] = []
    for limit in CATALOGUE.limits:
        if limit.is_used_up:
            most, used = entitlements.limits.get(limit.name), await reads.used(limit)
            limits.append(OwnLimit(limit.name, most, used, None if most is None else max(most - used, 0)))
    return OwnLimits(entitlements.plan, limits, CATALOGUE.features_of(entitlements))
