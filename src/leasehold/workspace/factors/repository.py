"""How second factors and recovery codes are read and written."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select

from leasehold.core.repository import KeysetRepository
from leasehold.workspace.factors.models import RecoveryCode, Totp


class TotpRepository(KeysetRepository[Totp]):
    """The second factors of the bound tenant's users."""

    model_type = Totp

    async def locked(self, user_id: UUID) -> Totp | None:
        """Return the second factor of a user; nobody else looks at one of its codes meanwhile."""
        return await self.session.scalar(select(Totp).where(Totp.user_id == user_id).with_for_update())


class RecoveryCodeRepository(KeysetRepository[RecoveryCode]):
    """The recovery codes of the bound tenant's users."""

    model_type = RecoveryCode

    async def use(self, user_id: UUID, digests: Sequence[bytes]) -> bool:
        """Delete a code of a user, and say whether it was there: of two at once, one only finds it."""
        statement = delete(RecoveryCode).where(RecoveryCode.user_id == user_id, RecoveryCode.digest.in_(digests))
        return (await self.session.scalar(statement.returning(RecoveryCode.id))) is not None

    async def delete_all_of(self, user_id: UUID) -> None:
        """Delete the codes of a user."""
        await self.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
