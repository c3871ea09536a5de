"""What a tenant does with its settings."""

from collections.abc import Sequence

from leasehold.core.actor import Actor
from leasehold.core.changes import applied
from leasehold.core.preconditions import ANYTHING, Precondition, PreconditionRequired
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.settings.repository import SettingsRepository
from leasehold.workspace.settings.schemas import OwnTenant, SettingsPatch

_ACTIONS = {
    "registration": "settings.registration_changed",
    "require_if_match": ("settings.if_match_made_optional", "settings.if_match_required"),
}


class SettingsService:
    """The settings of the bound tenant, for one unit of work."""

    def __init__(self, session: TenantSession) -> None:
        self._session = session
        self._repository = SettingsRepository(session=session)

    async def change(self, patch: SettingsPatch, *, precondition: Precondition = ANYTHING, by: Actor) -> OwnTenant:
        """Change what the patch has, and return the tenant with all settings.

        Raises:
            PreconditionFailed, PreconditionRequired, InvalidIfMatch: see `demand_precondition`.
        """
        row = await self._repository.locked()
        await demand_precondition(self._session, precondition, await self._described(), OwnTenant.tagged_by)
        changes = applied(row, patch)
        await self._session.flush()
        await AuditLog(self._session, by).record_changes(("settings", row.id), changes, _ACTIONS)
        return await self._described()

    async def _described(self) -> OwnTenant:
        tenant = self._session.tenant
        return OwnTenant(tenant.id, tenant.slug, await self._repository.find())


async def demand_precondition(
    session: object, precondition: Precondition, row: object, tagged_by: Sequence[str]
) -> None:
    """Pass if a row that is about to be changed, and is locked, is what the client has decided on.

    Raises:
        InvalidIfMatch: the header If-Match cannot be read.
        PreconditionFailed: the row is another by now.
        PreconditionRequired: the client does not say what it has seen, and the tenant demands it.
    """
    if not isinstance(session, TenantSession):
        raise TypeError("settings are read on the session of a tenant")
    if precondition.if_match is None and await SettingsRepository(session=session).requires_if_match():
        raise PreconditionRequired
    precondition.demand(row, tagged_by)
