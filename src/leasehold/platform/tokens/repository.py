"""How admins' tokens are read and written."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, select

from leasehold.core.clock import utc_now
from leasehold.core.repository import KeysetRepository
from leasehold.platform.admins.models import Admin
from leasehold.platform.tokens.models import AdminToken


class TokenOfAdmin(NamedTuple):
    """A token, and whose it is."""

    token: AdminToken
    admin: Admin


class AdminTokenRepository(KeysetRepository[AdminToken]):
    """The tokens of the admins."""

    model_type = AdminToken

    async def valid(self, digests: Sequence[bytes]) -> TokenOfAdmin | None:
        """Return the unexpired token of an active admin with one of these digests."""
        statement = (
            select(AdminToken, Admin)
            .join(Admin, Admin.id == AdminToken.admin_id)
            .where(AdminToken.digest.in_(digests), AdminToken.expires_at > utc_now(), Admin.is_active)
        )
        row = (await self.session.execute(statement)).one_or_none()
        return TokenOfAdmin(*row) if row else None

    async def all_of(self, admin_id: UUID | None) -> list[TokenOfAdmin]:
        """Return the unexpired tokens of an admin, or of all, in the order they were made."""
        statement = (
            select(AdminToken, Admin)
            .join(Admin, Admin.id == AdminToken.admin_id)
            .where(AdminToken.expires_at > utc_now())
            .order_by(AdminToken.id)
        )
        if admin_id is not None:
            statement = statement.where(AdminToken.admin_id == admin_id)
        return [TokenOfAdmin(*row) for row in (await self.session.execute(statement)).all()]

    async def revoke(self, token_id: UUID, *, admin_id: UUID | None) -> AdminToken | None:
        """Delete a token, if it is of this admin where one is named, and return what it was."""
        statement = delete(AdminToken).where(AdminToken.id == token_id).returning(AdminToken)
        if admin_id is not None:
            statement = statement.where(AdminToken.admin_id == admin_id)
        return await self.session.scalar(statement)

    async def delete_expired(self) -> None:
        """Delete every token that has expired."""
        await self.session.execute(delete(AdminToken).where(AdminToken.expires_at <= utc_now()))
