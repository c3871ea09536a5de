"""What can be done with the sessions of users.

A session is a family of refresh tokens, of which one is good at a time: using it replaces it. An old one that is used
again was stolen, or the answer with its successor was lost. The two are told apart by time, and by whether the
successor was ever used: within the grace the same successor is handed out again, for it is derived from the old token;
past it the session ends, and the thief with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from leasehold.core.clock import utc_now
from leasehold.core.credentials import is_secret, new_secret, secret_digest, secret_digests, succeeding_secret
from leasehold.tenancy.bind import TenantSession, announce_revocation
from leasehold.workspace.sessions.models import RefreshToken, UserSession
from leasehold.workspace.sessions.repository import RefreshTokenRepository, TokenInSession, UserSessionRepository
from leasehold.workspace.users.models import User

SECRET_KIND = "refresh"
GRACE = timedelta(seconds=10)
KEPT = timedelta(days=7)
"""For how long tokens that were replaced, and sessions that are over, are kept."""

EndReason = Literal["logged_out", "password_changed", "revoked"]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long sessions last."""

    idle: timedelta
    """A session that is not continued for so long is over."""
    longest: timedelta
    """Every session is over then, however often it is continued."""


@dataclass(frozen=True, slots=True)
class Continued:
    """A session that was begun or continued, and the one refresh token that now continues it."""

    session_id: UUID
    user: User
    refresh_token: str


@dataclass(frozen=True, slots=True)
class NotContinued:
    """Why a refresh token continues nothing."""

    reason: Literal["unknown", "expired", "ended", "replayed"]
    user_id: UUID | None = None


class SessionService:
    """The sessions of the bound tenant's users, for one unit of work."""

    def __init__(self, session: TenantSession, *, peppers: Sequence[bytes], lifetimes: Lifetimes) -> None:
        self._session = session
        self._sessions = UserSessionRepository(session=session)
        self._tokens = RefreshTokenRepository(session=session)
        self._peppers = peppers
        self._lifetimes = lifetimes

    async def start(self, user: User) -> Continued:
        """Begin a session of a user who has proved who they are."""
        begun = await self._sessions.add(UserSession(user_id=user.id, expires_at=utc_now() + self._lifetimes.longest))
        secret = new_secret(SECRET_KIND, tenant_id=self._session.tenant.id)
        await self._add_token(begun, secret)
        return Continued(begun.id, user, secret)

    async def rotate(self, refresh_token: str) -> Continued | NotContinued:
        """Continue a session, and replace the token by which it was asked for.

        A token that was replaced ends its session, and that must be committed; within ten seconds, and as long as its
        successor was not used, it is answered with that successor once more.
        """
        found = await self._find(refresh_token)
        if found is None:
            return NotContinued("unknown")
        token, session, user = found
        now = utc_now()
        if session.ended_at is not None or not user.is_active:
            return NotContinued("ended", user.id)
        if session.expires_at <= now or (token.replaced_at is None and token.expires_at <= now):
            return NotContinued("expired", user.id)
        if token.replaced_at is None:
            successor = succeeding_secret(refresh_token, pepper=self._peppers[0])
            token.replaced_at = session.continued_at = now
            await self._add_token(session, successor)
        else:
            successor = await self._lost_successor(token, refresh_token)
        if successor is None:
            session.ended_at, session.end_reason = now, "replayed"
            await announce_revocation(self._session, user.id)
            return NotContinued("replayed", user.id)
        return Continued(session.id, user, successor)

    async def user_of(self, refresh_token: str) -> TokenInSession | None:
        """Return whose session a token continues, with the token; None for one that is good for nothing any more."""
        found = await self._find(refresh_token)
        if found is None or found.session.ended_at is not None or not found.user.is_active:
            return None
        now = utc_now()
        is_good = found.token.replaced_at is None and min(found.token.expires_at, found.session.expires_at) > now
        return found if is_good else None

    async def end_by(self, refresh_token: str) -> UUID | None:
        """End the session of a token, used or not, and return its user; nothing happens for an unknown token."""
        found = await self._find(refresh_token)
        if found is None:
            return None
        await self.end("logged_out", user_id=found.user.id, only=found.session.id)
        return found.user.id

    async def end(self, reason: EndReason, *, user_id: UUID, only: UUID | None = None, but: UUID | None = None) -> bool:
        """End the sessions of a user: all, `only` one, or all `but` one, and say whether there were any.

        Their access tokens are refused by every process within a second.
        """
        ended = await self._sessions.end(reason, user_id=user_id, only=only, but=but)
        if ended:
            await announce_revocation(self._session, user_id)
        return ended

    async def _find(self, refresh_token: str) -> TokenInSession | None:
        if not is_secret(refresh_token, SECRET_KIND, tenant_id=self._session.tenant.id):
            return None
        return await self._tokens.locked(secret_digests(refresh_token, peppers=self._peppers))

    async def _lost_successor(self, token: RefreshToken, secret: str) -> str | None:
        """Return the successor of a token that was replaced just now, unless it was used."""
        if token.replaced_at is None or utc_now() - token.replaced_at > GRACE:
            return None
        for pepper in self._peppers:
            successor = succeeding_secret(secret, pepper=pepper)
            if await self._tokens.unused(secret_digests(successor, peppers=self._peppers)):
                return successor
        return None

    async def _add_token(self, session: UserSession, secret: str) -> None:
        await self._tokens.add(
            RefreshToken(
                session_id=session.id,
                digest=secret_digest(secret, pepper=self._peppers[0]),
                expires_at=min(utc_now() + self._lifetimes.idle, session.expires_at),
            )
        )
