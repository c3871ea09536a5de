"""How secrets that were sent by mail are kept and found."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects.postgresql import insert

from leasehold.core.clock import utc_now
from leasehold.core.ids import new_id
from leasehold.core.repository import KeysetRepository
from leasehold.tenancy.archive.reissue import BoundToId
from leasehold.workspace.confirmations.models import Confirmation

CONFIRMATIONS_BOUND_TO_ID = BoundToId(
    "links to confirm an address or to set a password",
    "DELETE FROM confirmations WHERE expires_at > now() RETURNING NULL AS label",
)
"""The link in the mail names its tenant; under another id users ask for another."""


class ConfirmationRepository(KeysetRepository[Confirmation]):
    """The confirmations that the bound tenant's users were asked for."""

    model_type = Confirmation

    async def put(self, user_id: UUID, purpose: str, *, email: str, digest: bytes, expires_at: datetime) -> None:
        """Keep a confirmation, in place of the former one for the same purpose."""
        changed = {"email": email, "digest": digest, "expires_at": expires_at, "created_at": utc_now()}
        row = {"id": new_id(), "user_id": user_id, "purpose": purpose, **changed}
        statement = insert(Confirmation).values(row)
        await self.session.execute(
            statement.on_conflict_do_update(index_elements=["user_id", "purpose"], set_=changed),
        )

    async def use(self, purpose: str, digests: Sequence[bytes]) -> Confirmation | None:
        """Delete and return a confirmation that has not expired: of two at once, one only gets it."""
        statement = (
            delete(Confirmation)
            .where(
                Confirmation.purpose == purpose, Confirmation.digest.in_(digests), Confirmation.expires_at > utc_now()
            )
            .returning(Confirmation)
        )
        return await self.session.scalar(statement)

    async def is_good(self, purpose: str, digests: Sequence[bytes]) -> bool:
        """Tell whether there is such a confirmation that has not expired."""
        question = exists().where(
            Confirmation.purpose == purpose, Confirmation.digest.in_(digests), Confirmation.expires_at > utc_now()
        )
        return bool(await self.session.scalar(select(question)))

    async def forget_elsewhere(self, user_id: UUID, *, email: str) -> None:
        """Delete what was sent for a user to any address but this."""
        await self.session.execute(
            delete(Confirmation).where(Confirmation.user_id == user_id, Confirmation.email != email)
        )

    async def delete_expired(self) -> None:
        """Delete all that have expired."""
        await self.session.execute(delete(Confirmation).where(Confirmation.expires_at <= utc_now()))
