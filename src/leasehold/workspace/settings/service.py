"""What a tenant does with its settings."""

from msgspec import UNSET

from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.settings.repository import SettingsRepository
from leasehold.workspace.settings.schemas import Settings, SettingsPatch


class SettingsService:
    """The settings of the bound tenant, for one unit of work."""

    def __init__(self, session: TenantSession) -> None:
        self._session = session
        self._repository = SettingsRepository(session=session)

    async def change(self, patch: SettingsPatch) -> Settings:
        """Change what the patch has, and return all settings."""
        row = await self._repository.locked()
        if patch.registration is not UNSET:
            row.registration = patch.registration
        await self._session.flush()
        return await self._repository.find()
