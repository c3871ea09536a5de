"""How admins choose a password, log in, stay logged in and log out."""

from uuid import UUID

from leasehold.core.clock import utc_now
from leasehold.core.credentials import is_secret, new_secret, secret_digests
from leasehold.core.database import PlatformSession
from leasehold.core.errors import FieldError, Invalid, InvalidToken
from leasehold.core.login.refusals import LoginRefusal
from leasehold.core.principal import Principal
from leasehold.platform.auth import schemas
from leasehold.platform.auth.identity import AdminDesk, AdminIdentity, session_id_of
from leasehold.platform.auth.models import AdminSession
from leasehold.platform.auth.repository import AdminSessionRepository, LoginOfAdmin
from leasehold.tenancy.audit import AuditLog

SETUP_KIND = "setup"
_TRIES = 3


class InvalidSetupSecret(Invalid):
    """The setup secret is unknown, used or expired; ask for another."""

    type = "invalid-setup-secret"
    title = "Invalid setup secret"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/setup_secret", "is unknown, used or expired")])


async def logged_in(session: PlatformSession, claimed: Principal, *, demands_totp: bool) -> Principal:
    """Return the admin of a token, with the scopes that they hold today.

    Raises:
        InvalidToken: the log-in is over, or the admin is disabled.
    """
    alive = await AdminSessionRepository(session=session).alive(session_id_of(claimed), claimed.subject)
    if alive is None:
        raise InvalidToken
    may = frozenset(alive.scopes) if alive.has_totp or not demands_totp else frozenset[str]()
    return Principal(
        "admin", claimed.subject, claimed.scopes & may, None, claimed.expires_at, session_id=claimed.session_id
    )


class AdminAuthService:
    """Authenticates the admins of the platform."""

    def __init__(self, identity: AdminIdentity) -> None:
        self._identity = identity

    async def choose_password(self, data: schemas.NewPassword, *, address: str) -> None:
        """Set a password by a setup secret, which is used up; all log-ins of the admin end.

        Raises:
            TooManyAttempts: too many secrets from this address were wrong.
            InvalidSetupSecret: unknown, used or expired, or the admin is disabled.
            CommonPassword: the password is guessed first.
        """
        async with self._identity.desk() as desk:
            await desk.attempts.begin(desk.attempts.address(address, "setup"))
            # Nothing is locked but the count: who has locked the login waits for that.
            known = await _by_setup(desk, data.setup_secret, lock=False)
        if known is None:
            raise InvalidSetupSecret
        password_hash = await self._identity.passwords.hash_new(data.password, about=(known.admin.name,))
        async with self._identity.desk() as desk:
            found = await _by_setup(desk, data.setup_secret, lock=True)
            if found is None:
                raise InvalidSetupSecret
            admin, login = found
            login.password_hash, login.setup_digest, login.setup_expires_at = password_hash, None, None
            await desk.sessions.end("password_changed", admin_id=admin.id)
            await desk.attempts.succeed(desk.attempts.account(admin.name), desk.attempts.address(address, "setup"))
            log = AuditLog(desk.session, desk.by.proven("admin", admin.id))
            await log.record("password.changed", ("admin", admin.id))

    async def login(self, data: schemas.AdminLogin, *, address: str) -> schemas.IssuedAdminToken | LoginRefusal:
        """Return the token of a new log-in with the scopes of the admin, or why there is none.

        An unknown admin, one without a password, a wrong password and a disabled admin are one answer, after the same
        time and the same work.

        Raises:
            TooManyAttempts: for this admin, or from this address.
        """
        passwords = self._identity.passwords
        async with self._identity.desk() as desk:
            await desk.attempts.begin(desk.attempts.account(data.name), desk.attempts.address(address))
            found = await desk.logins.by_name(data.name)
        known_hash = found.login.password_hash if found and found.admin.is_active else None
        for _ in range(_TRIES):
            if not await passwords.matches(data.password, known_hash) or known_hash is None or found is None:
                break
            is_outdated = passwords.is_outdated(known_hash)
            renewed_hash = await passwords.hash(data.password) if is_outdated else known_hash
            async with self._identity.desk() as desk:
                found = await desk.logins.locked(found.admin.id)
                if found is None or not found.admin.is_active:
                    break
                if found.login.password_hash == known_hash:
                    found.login.password_hash = renewed_hash
                    return await self._start(desk, found, data.code, address)
                # It was changed or hashed anew since it was read: it is the new one that must match.
                known_hash = found.login.password_hash
        async with self._identity.desk() as desk:
            await _refuse(desk, found, _reason(found))
        return "credentials"

    async def renew(self, principal: Principal) -> schemas.IssuedAdminToken:
        """Return another token of the same log-in, which ends when the log-in does.

        Raises:
            LoggedInOnly: the admin did not log in.
            InvalidToken: the log-in is over.
        """
        session_id = session_id_of(principal)
        async with self._identity.desk() as desk:
            alive = await desk.sessions.alive(session_id, principal.subject)
        if alive is None:
            raise InvalidToken
        return self._issue(principal.subject, session_id, alive.scopes, has_totp=alive.has_totp)

    async def logout(self, principal: Principal, *, everywhere: bool = False) -> None:
        """End the log-in of an admin, or all of them; their tokens are refused at once.

        Raises:
            LoggedInOnly: the admin did not log in.
        """
        session_id = session_id_of(principal)
        async with self._identity.desk() as desk:
            only = None if everywhere else session_id
            await desk.sessions.end("logged_out", admin_id=principal.subject, only=only)
            if everywhere:
                await desk.log.record("sessions.ended", ("admin", principal.subject))
            else:
                await desk.log.record("session.ended", ("session", session_id))

    async def _start(
        self, desk: AdminDesk, found: LoginOfAdmin, code: str | None, address: str
    ) -> schemas.IssuedAdminToken | LoginRefusal:
        admin, login = found
        factor = desk.second_factor(login)
        proof = factor.prove(code)
        if proof == "missing":
            await _refuse(desk, found, "no code")
            return "code_missing"
        if proof == "wrong":
            await _refuse(desk, found, "wrong code")
            return "code_wrong"
        await desk.attempts.succeed(desk.attempts.account(admin.name), desk.attempts.address(address))
        begun = await desk.sessions.add(
            AdminSession(admin_id=admin.id, expires_at=utc_now() + self._identity.session_life)
        )
        log = AuditLog(desk.session, desk.by.proven("admin", admin.id))
        await log.record("login.succeeded", ("admin", admin.id))
        return self._issue(admin.id, begun.id, admin.scopes, has_totp=factor.is_confirmed)

    def _issue(
        self, admin_id: UUID, session_id: UUID, scopes: list[str], *, has_totp: bool
    ) -> schemas.IssuedAdminToken:
        must_add_totp = self._identity.demands_totp and not has_totp
        granted = frozenset[str]() if must_add_totp else frozenset(scopes)
        tokens = self._identity.tokens
        token = tokens.issue_for_platform(admin_id=admin_id, session_id=session_id, scopes=granted)
        return schemas.IssuedAdminToken(
            token, "Bearer", tokens.lifetime_s, " ".join(sorted(granted)), must_add_totp=must_add_totp
        )


def new_setup_secret(peppers: tuple[bytes, ...]) -> tuple[str, bytes]:
    """Return a secret by which an admin may choose a password, and the digest to store."""
    secret = new_secret(SETUP_KIND, tenant_id=None)
    return secret, secret_digests(secret, peppers=peppers)[0]


async def _by_setup(desk: AdminDesk, secret: str, *, lock: bool) -> LoginOfAdmin | None:
    if not is_secret(secret, SETUP_KIND, tenant_id=None):
        return None
    return await desk.logins.by_setup(secret_digests(secret, peppers=desk.peppers), lock=lock)


async def _refuse(desk: AdminDesk, found: LoginOfAdmin | None, reason: str) -> None:
    target = ("admin", found.admin.id if found else None)
    await desk.log.record("login.refused", target, outcome="refused", reason=reason)


def _reason(found: LoginOfAdmin | None) -> str:
    if found is None:
        return "unknown admin"
    if found.login.password_hash is None:
        return "no password yet"
    return "wrong password" if found.admin.is_active else "disabled admin"
