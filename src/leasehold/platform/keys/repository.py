"""How signing keys are read and written."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import aliased

from leasehold.core.repository import KeysetRepository
from leasehold.core.signing import RETIRED_S
from leasehold.tenancy.signing import StoredSigningKey


class SigningKeyRepository(KeysetRepository[StoredSigningKey]):
    """The signing keys of the installation."""

    model_type = StoredSigningKey

    async def lock(self) -> datetime:
        """Let nobody else change the keys until the transaction ends, and return the time by the database's clock."""
        await self.session.execute(select(func.pg_advisory_xact_lock(func.hashtext("leasehold signing keys"))))
        return await self.now()

    async def now(self) -> datetime:
        """Return the time by the database's clock."""
        return (await self.session.execute(select(func.clock_timestamp()))).scalar_one()

    async def in_order(self) -> Sequence[StoredSigningKey]:
        """Return all keys in the order in which they sign."""
        return (await self.session.scalars(select(StoredSigningKey).order_by(StoredSigningKey.activates_at))).all()

    async def forget_all(self) -> None:
        """Delete every key."""
        await self.session.execute(delete(StoredSigningKey))

    async def forget_gone(self) -> None:
        """Delete the keys whose tokens have all expired."""
        later = aliased(StoredSigningKey)
        is_gone = (later.activates_at > StoredSigningKey.activates_at) & (
            later.activates_at < func.now() - timedelta(seconds=RETIRED_S)
        )
        await self.session.execute(delete(StoredSigningKey).where(select(later.id).where(is_gone).exists()))
