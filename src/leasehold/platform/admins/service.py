"""What can be done with admins and their tokens."""

from collections.abc import Sequence
from datetime import timedelta

from leasehold.core.actor import Actor
from leasehold.core.changes import created
from leasehold.core.clock import utc_now
from leasehold.core.credentials import MalformedSecret, new_secret, parse_secret, secret_digest
from leasehold.core.database import PlatformSession
from leasehold.core.errors import Invalid, InvalidToken
from leasehold.core.principal import Principal
from leasehold.core.vault import InstallationKey
from leasehold.platform.admins.models import Admin, AdminToken
from leasehold.platform.admins.repository import AdminRepository, AdminTokenRepository
from leasehold.platform.scopes import PLATFORM_SCOPES
from leasehold.tenancy.audit import AuditLog

SECRET_KIND = "admin"
_PEPPER = "platform pepper"


class UnknownPlatformScope(Invalid):
    """There is no platform scope {scope}; there are: {known}."""

    type = "unknown-scope"
    title = "Unknown scope"


class AdminService:
    """The admins of the platform, for one unit of work."""

    def __init__(self, session: PlatformSession, key: InstallationKey) -> None:
        self._session = session
        self._admins = AdminRepository(session=session)
        self._tokens = AdminTokenRepository(session=session)
        self._peppers = key.derived(_PEPPER)

    async def issue_token(self, *, admin_name: str, scopes: Sequence[str], lifetime: timedelta, by: Actor) -> str:
        """Return a new token of an admin, who is made if there is none of this name. It cannot be read again.

        Raises:
            UnknownPlatformScope: one of the scopes does not exist.
        """
        for scope in scopes:
            if scope not in PLATFORM_SCOPES:
                raise UnknownPlatformScope(scope=scope, known=", ".join(sorted(PLATFORM_SCOPES)))
        log = AuditLog(self._session, by)
        admin = await self._admins.get_one_or_none(name=admin_name)
        if admin is None:
            admin = await self._admins.add(Admin(name=admin_name, is_active=True))
            await log.record("admin.created", ("admin", admin.id))
        secret = new_secret(SECRET_KIND, tenant_id=None)
        token = AdminToken(
            admin_id=admin.id,
            digest=self._digests(secret)[0],
            scopes=sorted(set(scopes)),
            expires_at=utc_now() + lifetime,
        )
        await self._tokens.add(token)
        changes = created(admin_id=admin.id, scopes=token.scopes, expires_at=token.expires_at)
        await log.record("admin_token.issued", ("admin_token", token.id), changes=changes)
        return secret

    async def authenticate(self, secret: str) -> Principal:
        """Return the admin whom a token speaks for.

        Raises:
            InvalidToken: malformed, unknown, expired, or its admin is disabled.
        """
        try:
            parsed = parse_secret(secret)
        except MalformedSecret as error:
            raise InvalidToken from error
        if parsed.kind != SECRET_KIND:
            raise InvalidToken
        digests = self._digests(secret)
        token = await self._tokens.valid(digests)
        if token is None:
            raise InvalidToken
        # Stored by another installation key's pepper, it would end with that key.
        token.digest = digests[0]
        return Principal(
            kind="admin",
            subject=token.admin_id,
            scopes=frozenset(token.scopes),
            tenant_id=None,
            expires_at=int(token.expires_at.timestamp()),
        )

    def _digests(self, secret: str) -> list[bytes]:
        """Return under what a secret is stored, and then under what it may be stored still."""
        return [secret_digest(secret, pepper=pepper) for pepper in self._peppers]
