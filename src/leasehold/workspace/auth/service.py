"""How users become users, log in, stay logged in and log out."""

from leasehold.core.clock import utc_now
from leasehold.core.errors import FieldError, Forbidden, Invalid
from leasehold.core.login.refusals import LoginRefusal
from leasehold.core.principal import Principal
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.workspace.auth.identity import Desk, Identity, user_id_of
from leasehold.workspace.auth.schemas import IssuedToken, Login, Registration
from leasehold.workspace.confirmations.jobs import Asked, send_confirmation
from leasehold.workspace.scopes import ROLE_SCOPES, as_role
from leasehold.workspace.sessions.service import Continued, NotContinued
from leasehold.workspace.settings.repository import SettingsRepository
from leasehold.workspace.users.models import User
from leasehold.workspace.users.schemas import User as UserOut

_TRIES = 3


class RegistrationClosed(Forbidden):
    """Nobody can sign up here."""

    type = "registration-closed"
    title = "Registration closed"


class InvitationRequired(Forbidden):
    """Who signs up here must be invited: send the secret of the invitation."""

    type = "invitation-required"
    title = "Invitation required"


class InvalidInvitation(Invalid):
    """The invitation is unknown, expired, accepted already, or somebody else's."""

    type = "invalid-invitation"
    title = "Invalid invitation"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/invitation", "is not good for this address")])


class AuthService:
    """Authenticates the users of one tenant."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def register(self, data: Registration, *, address: str) -> UserOut:
        """Make a user: a member, or what an invitation says. An address that was not invited is asked to confirm.

        Raises:
            RegistrationClosed, InvitationRequired, InvalidInvitation: the tenant's settings do not let this one in.
            TooManyAttempts: too many have signed up from this address.
            CommonPassword: the password is guessed first.
            EmailTaken: another user of the tenant has this address.
            LimitExceeded: the tenant may have no more users; an invitation stays good.
        """
        async with self._identity.desk() as desk:
            await desk.attempts.begin(desk.attempts.address(address, "register"))
            settings = await SettingsRepository(session=desk.session).find()
        if settings.registration == "closed":
            raise RegistrationClosed
        if settings.registration == "invite_only" and data.invitation is None:
            raise InvitationRequired
        about = (data.email, data.name, self._identity.tenant.slug)
        password_hash = await self._identity.passwords.hash_new(data.password, about=about)
        async with self._identity.desk() as desk:
            invited = await desk.invitations.accept(data.invitation, peppers=desk.peppers) if data.invitation else None
            if data.invitation and (invited is None or invited.email != data.email.lower()):
                raise InvalidInvitation
            user = await desk.user_service.add(
                email=data.email,
                name=data.name,
                role=as_role(invited.role) if invited else "member",
                password_hash=password_hash,
                by=desk.by,
                email_confirmed_at=utc_now() if invited else None,
            )
            if invited is not None:
                await desk.log.record("invitation.accepted", ("invitation", invited.id))
            else:
                await enqueue(desk.session, send_confirmation, Asked("email", user.id))
        return user

    async def login(self, data: Login, *, address: str) -> IssuedToken | LoginRefusal:
        """Return tokens with the scopes of the user's role, or why there are none.

        An unknown user, a wrong password and a disabled user are one answer, after the same time and the same work.

        Raises:
            TooManyAttempts: for this account, or from this address.
        """
        passwords = self._identity.passwords
        async with self._identity.desk() as desk:
            await desk.attempts.begin(desk.attempts.account(data.email), desk.attempts.address(address))
            user = await desk.users.by_email(data.email)
            known_hash = user.password_hash if user and user.is_active else None
        for _ in range(_TRIES):
            if not await passwords.matches(data.password, known_hash) or known_hash is None:
                break
            is_outdated = passwords.is_outdated(known_hash)
            renewed_hash = await passwords.hash(data.password) if is_outdated else known_hash
            async with self._identity.desk() as desk:
                user = await desk.users.locked(data.email)
                if user is None or not user.is_active:
                    break
                if user.password_hash == known_hash:
                    user.password_hash = renewed_hash
                    return await self._start(desk, user, data.code, address)
                # It was changed or hashed anew since it was read: it is the new one that must match.
                known_hash = user.password_hash
        async with self._identity.desk() as desk:
            await _refuse(desk, user, _reason(user))
        return "credentials"

    async def refresh(self, refresh_token: str, *, scope: str | None = None) -> IssuedToken | NotContinued | None:
        """Return fresh tokens for a refresh token, with fewer scopes if `scope` names them (RFC 6749, section 6).

        None where `scope` asks for more than the user's role gives; then nothing has happened.
        """
        async with self._identity.desk() as desk:
            if scope and not await self._is_within(desk, refresh_token, scope):
                return None
            continued = await desk.sessions.rotate(refresh_token)
            if isinstance(continued, Continued):
                return self._issue(continued, scope)
            if continued.reason == "replayed":
                target = ("user", continued.user_id)
                await desk.log.record("refresh_token.replayed", target, outcome="refused", reason="its session ends")
            return continued

    async def logout(self, principal: Principal) -> None:
        """End the session of an access token."""
        async with self._identity.desk() as desk:
            await desk.sessions.end("logged_out", user_id=user_id_of(principal), only=principal.session_id)
            await desk.log.record("session.ended", ("session", principal.session_id))

    async def logout_everywhere(self, principal: Principal) -> None:
        """End all sessions of the user of an access token."""
        async with self._identity.desk() as desk:
            await desk.sessions.end("logged_out", user_id=user_id_of(principal))
            await desk.log.record("sessions.ended", ("user", principal.subject))

    async def _start(self, desk: Desk, user: User, code: str | None, address: str) -> IssuedToken | LoginRefusal:
        proof = await desk.factors.prove(user.id, code)
        if proof == "missing":
            await _refuse(desk, user, "no code")
            return "code_missing"
        if proof == "wrong":
            await _refuse(desk, user, "wrong code")
            return "code_wrong"
        await desk.attempts.succeed(desk.attempts.account(user.email), desk.attempts.address(address))
        log = AuditLog(desk.session, desk.by.proven("user", user.id))
        continued = await desk.sessions.start(user)
        await log.record("login.succeeded", ("user", user.id))
        return self._issue(continued)

    async def _is_within(self, desk: Desk, refresh_token: str, scope: str) -> bool:
        found = await desk.sessions.user_of(refresh_token)
        return found is None or set(scope.split()) <= ROLE_SCOPES[as_role(found.user.role)]

    def _issue(self, continued: Continued, scope: str | None = None) -> IssuedToken:
        user: User = continued.user
        scopes = frozenset(scope.split()) if scope else ROLE_SCOPES[as_role(user.role)]
        tokens = self._identity.tokens
        token = tokens.issue(
            kind="user",
            subject=user.id,
            tenant_id=self._identity.tenant.id,
            scopes=scopes,
            session_id=continued.session_id,
        )
        return IssuedToken(
            token, "Bearer", tokens.lifetime_s, " ".join(sorted(scopes)), refresh_token=continued.refresh_token
        )


async def _refuse(desk: Desk, user: User | None, reason: str) -> None:
    target = ("user", user.id if user else None)
    await desk.log.record("login.refused", target, outcome="refused", reason=reason)


def _reason(user: User | None) -> str:
    if user is None:
        return "unknown user"
    return "wrong password" if user.is_active else "disabled user"
