"""What can be done by a secret that came by mail: set a forgotten password, and confirm an address."""

from sqlalchemy.exc import IntegrityError

from leasehold.core.clock import utc_now
from leasehold.core.credentials import is_secret, secret_digests
from leasehold.core.errors import FieldError, Invalid
from leasehold.core.sqlstate import violated_constraint
from leasehold.tenancy.audit import AuditLog
from leasehold.tenancy.bind import announce_revocation
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.workspace.auth.identity import Desk, Identity
from leasehold.workspace.confirmations.jobs import SECRET_KINDS, Asked, Purpose, send_confirmation
from leasehold.workspace.confirmations.models import Confirmation
from leasehold.workspace.users.service import EmailTaken


class InvalidConfirmation(Invalid):
    """The secret is unknown, expired, used already, or a newer one was sent."""

    type = "invalid-confirmation"
    title = "Invalid confirmation"

    def __init__(self) -> None:
        super().__init__(errors=[FieldError("/token", "is unknown, expired or used")])


class ConfirmationService:
    """What the users of one tenant confirm by mail."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    async def ask_for_password(self, email: str, *, address: str) -> None:
        """Send a secret for a new password to a user; nobody can tell whether there is one.

        Raises:
            TooManyAttempts: for this account, or from this address.
        """
        async with self._identity.desk() as desk:
            attempts = desk.attempts
            await attempts.begin(attempts.account(email, "reset"), attempts.address(address, "reset"))
            user = await desk.users.by_email(email)
            user_id = user.id if user and user.is_active else None
            await enqueue(desk.session, send_confirmation, Asked("password", user_id))
            await desk.log.record("password.asked_for", ("user", user_id))

    async def set_password(self, secret: str, password: str) -> None:
        """Set a forgotten password, end all sessions of the user, and forget the failed log-ins.

        Raises:
            InvalidConfirmation: the secret is good for nothing.
            CommonPassword: the password is guessed first; the secret stays good.
        """
        async with self._identity.desk() as desk:
            if not await desk.confirmations.is_good("password", self._digests(secret, "password", desk)):
                raise InvalidConfirmation
        password_hash = await self._identity.passwords.hash_new(password, about=(self._identity.tenant.slug,))
        async with self._identity.desk() as desk:
            confirmation = await self._use(desk, secret, "password")
            user = await desk.users.get(confirmation.user_id)
            self._identity.passwords.demand_uncommon(password, about=(user.email, user.name))
            user.password_hash = password_hash
            if confirmation.email == user.email:
                user.email_confirmed_at = utc_now()
            await desk.sessions.end("password_changed", user_id=user.id)
            # Who knew the former password may wait to take the account over by an address of their own.
            await desk.confirmations.forget_elsewhere(user.id, email=user.email)
            await desk.attempts.forget(desk.attempts.account(user.email))
            await AuditLog(desk.session, desk.by.proven("user", user.id)).record("password.reset", ("user", user.id))

    async def confirm_email(self, secret: str) -> None:
        """Write down that an address is the user's; one that is not yet theirs becomes theirs.

        Raises:
            InvalidConfirmation: the secret is good for nothing.
            EmailTaken: another user has the address by now.
        """
        async with self._identity.desk() as desk:
            confirmation = await self._use(desk, secret, "email")
            user = await desk.users.get(confirmation.user_id)
            user.email, user.email_confirmed_at = confirmation.email, utc_now()
            try:
                await desk.session.flush()
            except IntegrityError as error:
                if violated_constraint(error) == "uq_users_email":
                    raise EmailTaken from error
                raise
            # Nor is a new password set by what lies in the former mailbox.
            await desk.confirmations.forget_elsewhere(user.id, email=user.email)
            await announce_revocation(desk.session, user.id)
            await AuditLog(desk.session, desk.by.proven("user", user.id)).record("email.confirmed", ("user", user.id))

    async def _use(self, desk: Desk, secret: str, purpose: Purpose) -> Confirmation:
        confirmation = await desk.confirmations.use(purpose, self._digests(secret, purpose, desk))
        if confirmation is None:
            raise InvalidConfirmation
        return confirmation

    def _digests(self, secret: str, purpose: Purpose, desk: Desk) -> list[bytes]:
        if not is_secret(secret, SECRET_KINDS[purpose], tenant_id=self._identity.tenant.id):
            raise InvalidConfirmation
        return secret_digests(secret, peppers=desk.peppers)
