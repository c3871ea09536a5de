"""What can be done with the tokens of admins."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.clock import utc_now
from leasehold.core.credentials import is_secret, new_secret, secret_digests
from leasehold.core.database import PlatformSession
from leasehold.core.errors import InvalidToken, NotFound, ScopeNotHeld
from leasehold.core.principal import Principal
from leasehold.core.vault import InstallationKey
from leasehold.platform.admins.models import Admin
from leasehold.platform.admins.repository import AdminRepository
from leasehold.platform.auth.pepper import platform_peppers
from leasehold.platform.scopes import known_scopes
from leasehold.platform.tokens import schemas
from leasehold.platform.tokens.models import AdminToken
from leasehold.platform.tokens.repository import AdminTokenRepository
from leasehold.tenancy.audit import AuditLog

SECRET_KIND = "admin"
_NOTED_EVERY = timedelta(minutes=1)


class AdminTokenService:
    """The tokens of admins, for one unit of work."""

    def __init__(self, session: PlatformSession, key: InstallationKey) -> None:
        self._session = session
        self._admins = AdminRepository(session=session)
        self._tokens = AdminTokenRepository(session=session)
        self._peppers = platform_peppers(key)

    async def issue_own(
        self, admin_id: UUID, *, scopes: Sequence[str], lifetime: timedelta, by: Actor
    ) -> schemas.NewAdminToken:
        """Make a token of whoever asks; see `issue`."""
        admin = await self._admins.get(admin_id)
        return await self.issue(admin, scopes=scopes, lifetime=lifetime, by=by)

    async def issue(
        self, admin: Admin, *, scopes: Sequence[str], lifetime: timedelta, by: Actor
    ) -> schemas.NewAdminToken:
        """Make a token of an admin. It cannot be read again.

        Raises:
            UnknownScope: one of the scopes does not exist.
            ScopeNotHeld: the admin does not hold one of them.
            InsufficientScope: whoever asks does not.
        """
        wanted = known_scopes(scopes)
        for scope in wanted:
            if scope not in admin.scopes:
                raise ScopeNotHeld(scope)
        by.demand(*wanted)
        secret = new_secret(SECRET_KIND, tenant_id=None)
        digest = secret_digests(secret, peppers=self._peppers)[0]
        token = AdminToken(admin_id=admin.id, digest=digest, scopes=wanted, expires_at=utc_now() + lifetime)
        await self._tokens.add(token)
        changes = created(admin_id=admin.id, scopes=token.scopes, expires_at=token.expires_at)
        await AuditLog(self._session, by).record("admin_token.issued", ("admin_token", token.id), changes=changes)
        return schemas.NewAdminToken(token.id, token.scopes, token.expires_at, secret)

    async def all_of(self, admin_id: UUID | None) -> list[schemas.AdminToken]:
        """Return the tokens of an admin, or of all, that have not expired."""
        return [_described(token, admin) for token, admin in await self._tokens.all_of(admin_id)]

    async def revoke(self, token_id: UUID, *, admin_id: UUID | None = None, by: Actor) -> None:
        """Revoke a token, which is refused from then on; of this admin, where one is named.

        Raises:
            NotFound: there is no such token.
        """
        token = await self._tokens.revoke(token_id, admin_id=admin_id)
        if token is None:
            raise NotFound
        await AuditLog(self._session, by).record("admin_token.revoked", ("admin_token", token.id))

    async def authenticate(self, secret: str) -> Principal:
        """Return the admin whom a token speaks for.

        Raises:
            InvalidToken: malformed, unknown, expired, or its admin is disabled.
        """
        if not is_secret(secret, SECRET_KIND, tenant_id=None):
            raise InvalidToken
        digests = secret_digests(secret, peppers=self._peppers)
        found = await self._tokens.valid(digests)
        if found is None:
            raise InvalidToken
        token, admin = found
        # Stored by another installation key's pepper, it would end with that key.
        token.digest = digests[0]
        now = utc_now()
        if token.last_used_at is None or now - token.last_used_at >= _NOTED_EVERY:
            token.last_used_at = now
        return Principal(
            kind="admin",
            subject=admin.id,
            scopes=frozenset(token.scopes) & frozenset(admin.scopes),
            tenant_id=None,
            expires_at=int(token.expires_at.timestamp()),
        )


def _described(token: AdminToken, admin: Admin) -> schemas.AdminToken:
    return schemas.AdminToken(
        token.id, admin.id, admin.name, token.scopes, token.expires_at, token.last_used_at, token.created_at
    )
