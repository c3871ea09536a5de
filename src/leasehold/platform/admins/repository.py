"""How admins are read and written."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from leasehold.core.repository import KeysetRepository
from leasehold.platform.admins.models import Admin


class AdminRepository(KeysetRepository[Admin]):
    """The admins of the platform."""

    model_type = Admin

    async def locked_with(self, scope: str) -> Sequence[Admin]:
        """Return the active admins who hold a scope; nobody else changes them meanwhile."""
        statement = (
            select(Admin).where(Admin.is_active, Admin.scopes.contains([scope])).order_by(Admin.id).with_for_update()
        )
        return (await self.session.scalars(statement)).all()

    async def locked(self, admin_id: UUID) -> Admin | None:
        """Return an admin as it is now; nobody else changes it meanwhile."""
        statement = (
            select(Admin).where(Admin.id == admin_id).with_for_update().execution_options(populate_existing=True)
        )
        return await self.session.scalar(statement)
