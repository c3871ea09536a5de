"""How sessions and their refresh tokens are read and written."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, or_, select, update

from leasehold.core.clock import utc_now
from leasehold.core.repository import KeysetRepository
from leasehold.tenancy.archive.reissue import BoundToId
from leasehold.workspace.sessions.models import RefreshToken, UserSession
from leasehold.workspace.users.models import User

SESSIONS_BOUND_TO_ID = BoundToId(
    "sessions of users",
    "UPDATE user_sessions SET ended_at = now(), end_reason = 'revoked' WHERE ended_at IS NULL AND expires_at > now() "
    "RETURNING NULL AS label",
)
"""A refresh token names its tenant; under another id users log in again."""


class TokenInSession(NamedTuple):
    """A refresh token with the session that it belongs to, both locked, and the user."""

    token: RefreshToken
    session: UserSession
    user: User


class UserSessionRepository(KeysetRepository[UserSession]):
    """The sessions of the bound tenant's users."""

    model_type = UserSession

    async def end(self, reason: str, *, user_id: UUID, only: UUID | None = None, but: UUID | None = None) -> bool:
        """End the sessions of a user that are not over: all, `only` one, or all `but` one. Say whether there were."""
        statement = update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
        if only is not None:
            statement = statement.where(UserSession.id == only)
        if but is not None:
            statement = statement.where(UserSession.id != but)
        ended = await self.session.scalars(
            statement.values(ended_at=utc_now(), end_reason=reason).returning(UserSession.id)
        )
        return bool(ended.all())

    async def delete_over(self, before: datetime) -> None:
        """Delete the sessions that ended or expired before a time, with their tokens."""
        over = or_(UserSession.ended_at < before, UserSession.expires_at < before)
        await self.session.execute(delete(UserSession).where(over))


class RefreshTokenRepository(KeysetRepository[RefreshToken]):
    """The refresh tokens of the bound tenant's users."""

    model_type = RefreshToken

    async def locked(self, digests: Sequence[bytes]) -> TokenInSession | None:
        """Return the token with one of these digests; who asks for another token of its session must wait."""
        statement = (
            select(RefreshToken, UserSession, User)
            .join(UserSession, UserSession.id == RefreshToken.session_id)
            .join(User, User.id == UserSession.user_id)
            .where(RefreshToken.digest.in_(digests))
            .with_for_update(of=(RefreshToken, UserSession))
        )
        row = (await self.session.execute(statement)).one_or_none()
        return TokenInSession(*row) if row else None

    async def unused(self, digests: Sequence[bytes]) -> RefreshToken | None:
        """Return the token with one of these digests, if it was not replaced yet."""
        statement = select(RefreshToken).where(RefreshToken.digest.in_(digests), RefreshToken.replaced_at.is_(None))
        return await self.session.scalar(statement)

    async def delete_replaced(self, before: datetime) -> None:
        """Delete the tokens that were replaced before a time."""
        await self.session.execute(delete(RefreshToken).where(RefreshToken.replaced_at < before))
