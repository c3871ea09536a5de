"""What a tenant does with its settings."""

from leasehold.core.actor import Actor
from leasehold.core.changes import applied
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.settings.repository import SettingsRepository
from leasehold.workspace.settings.schemas import Settings, SettingsPatch

_ACTIONS = {"registration": "settings.registration_changed"}


class SettingsService:
    """The settings of the bound tenant, for one unit of work."""

    def __init__(self, session: TenantSession) -> None:
        self._session = session
        self._repository = SettingsRepository(session=session)

    async def change(self, patch: SettingsPatch, *, by: Actor) -> Settings:
        """Change what the patch has, and return all settings."""
        row = await self._repository.locked()
        changes = applied(row, patch)
        await self._session.flush()
        await AuditLog(self._session, by).record_changes(("settings", row.id), changes, _ACTIONS)
        return await self._repository.find()
