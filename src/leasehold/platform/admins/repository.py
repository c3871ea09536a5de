"""How admins and their tokens are read and written."""

from collections.abc import Sequence

from sqlalchemy import delete, select

from leasehold.core.clock import utc_now
from leasehold.core.repository import KeysetRepository
from leasehold.platform.admins.models import Admin, AdminToken


class AdminRepository(KeysetRepository[Admin]):
    """The admins of the platform."""

    model_type = Admin


class AdminTokenRepository(KeysetRepository[AdminToken]):
    """The tokens of the admins."""

    model_type = AdminToken

    async def valid(self, digests: Sequence[bytes]) -> AdminToken | None:
        """Return the unexpired token of an active admin with one of these digests."""
        statement = (
            select(AdminToken)
            .join(Admin, Admin.id == AdminToken.admin_id)
            .where(AdminToken.digest.in_(digests), AdminToken.expires_at > utc_now(), Admin.is_active)
        )
        return await self.session.scalar(statement)

    async def delete_expired(self) -> None:
        """Delete every token that has expired."""
        await self.session.execute(delete(AdminToken).where(AdminToken.expires_at <= utc_now()))
