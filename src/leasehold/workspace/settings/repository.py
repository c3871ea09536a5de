"""How the settings of a tenant are read and written."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from leasehold.core.clock import utc_now
from leasehold.core.ids import new_id
from leasehold.core.reads import Read, Reader, columns_of
from leasehold.core.repository import KeysetRepository
from leasehold.workspace.settings.models import TenantSettings
from leasehold.workspace.settings.schemas import Decided, Settings

DECIDED = Read(select(*columns_of(TenantSettings, Decided)), Decided)


class SettingsReads:
    """The settings of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(self) -> Settings:
        """Return the settings, with the defaults of what was not decided."""
        return Settings.of(await self._reader.one(DECIDED) or Decided())


class SettingsRepository(KeysetRepository[TenantSettings]):
    """The settings of the bound tenant, for who writes."""

    model_type = TenantSettings

    async def find(self) -> Settings:
        """Return the settings, with the defaults of what was not decided."""
        row = await self.session.scalar(select(TenantSettings))
        return Settings.of(Decided(row.registration, row.require_if_match) if row else Decided())

    async def requires_if_match(self) -> bool:
        """Tell whether writes must say what they were decided on."""
        return bool(await self.session.scalar(select(TenantSettings.require_if_match)))

    async def locked(self) -> TenantSettings:
        """Return the one row, made if there was none; nobody else changes it meanwhile."""
        now = utc_now()
        row = {"id": new_id(), "is_only": True, "created_at": now, "updated_at": now}
        await self.session.execute(insert(TenantSettings).values(row).on_conflict_do_nothing())
        return (await self.session.scalars(select(TenantSettings).with_for_update())).one()
