"""What is read of the caller."""

from uuid import UUID

from sqlalchemy import bindparam, exists, select

from leasehold.core.clock import utc_now
from leasehold.core.reads import Read, Reader, columns_of
from leasehold.workspace.account.schemas import Profile, Session
from leasehold.workspace.factors.models import Totp
from leasehold.workspace.sessions.models import UserSession
from leasehold.workspace.users.models import User

_HAS_TOTP = exists().where(Totp.user_id == User.id, Totp.confirmed_at.is_not(None)).label("has_totp")
PROFILE = Read(
    select(User.email, User.name, User.role, User.email_confirmed_at, _HAS_TOTP, User.created_at).where(
        User.id == bindparam("user_id")
    ),
    Profile,
)
SESSIONS = Read(
    select(*columns_of(UserSession, Session))
    .where(
        UserSession.user_id == bindparam("user_id"),
        UserSession.ended_at.is_(None),
        UserSession.expires_at > bindparam("now"),
    )
    .order_by(UserSession.id.desc())
    .limit(100),
    Session,
)


class AccountReads:
    """What a user may read of itself."""

    def __init__(self, reader: Reader, user_id: UUID) -> None:
        self._reader = reader
        self._user_id = user_id

    async def profile(self) -> Profile | None:
        """Return what is known of the user."""
        return await self._reader.one(PROFILE, user_id=self._user_id)

    async def sessions(self) -> list[Session]:
        """Return the log-ins that are not over, at most the latest 100."""
        return await self._reader.all(SESSIONS, user_id=self._user_id, now=utc_now())
