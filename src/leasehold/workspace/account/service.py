"""What users do with themselves. Whatever would let a thief of a session keep it asks for the password again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from msgspec import UNSET

from leasehold.core.errors import InvalidToken, NotFound
from leasehold.core.login.refusals import NoTotp, WrongCode, WrongPassword
from leasehold.core.login.schemas import NewRecoveryCodes, NewTotp, PasswordAndCode, PasswordChange
from leasehold.core.principal import Principal
from leasehold.core.reads import Reader
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.workspace.account.repository import AccountReads
from leasehold.workspace.account.schemas import Me, ProfilePatch, TenantIdentity
from leasehold.workspace.auth.identity import Desk, Identity, user_id_of
from leasehold.workspace.auth.repository import read_subject
from leasehold.workspace.confirmations.jobs import Asked, send_confirmation

ADMIN_NAME = "an admin of the platform"


async def describe(reader: Reader, tenant: TenantRef, principal: Principal) -> Me:
    """Return who the subject of a token is.

    Raises:
        InvalidToken: the subject is gone.
    """
    name = ADMIN_NAME
    if not principal.is_impersonation:
        found = await read_subject(reader, principal)
        if found is None:
            raise InvalidToken
        name = found.name
    is_user = principal.kind == "user"
    return Me(
        tenant=TenantIdentity(tenant.id, tenant.slug),
        kind=principal.kind,
        subject=principal.subject,
        name=name,
        scopes=sorted(principal.scopes),
        profile=await AccountReads(reader, principal.subject).profile() if is_user else None,
    )


class AccountService:
    """What the user of an access token does with itself."""

    def __init__(self, identity: Identity, principal: Principal) -> None:
        """Take the user.

        Raises:
            UsersOnly: it is no user.
        """
        self._identity = identity
        self._user_id = user_id_of(principal)
        self._session_id = principal.session_id

    async def change(self, patch: ProfilePatch) -> None:
        """Change the name at once, and the e-mail address as soon as a mail to the new one was answered.

        Raises:
            TooManyAttempts, WrongPassword: as for a new password, where there is an address.
        """
        if patch.email is not UNSET:
            if patch.password is UNSET:
                raise WrongPassword
            await self._demand_password(patch.password)
        async with self._identity.desk() as desk:
            user = await desk.users.get(self._user_id)
            if patch.email is not UNSET:
                await desk.attempts.forget(desk.attempts.account(user.email))
            if patch.name is not UNSET and patch.name != user.name:
                user.name = patch.name
                await desk.log.record("user.renamed", ("user", user.id), changes={"name": {}})
            if patch.email is not UNSET and patch.email.lower() != user.email:
                await enqueue(desk.session, send_confirmation, Asked("email", user.id, patch.email.lower()))
                await desk.log.record("email.change_asked_for", ("user", user.id))

    async def ask_to_confirm_email(self) -> None:
        """Send the mail that confirms the present address once more.

        Raises:
            TooManyAttempts: it was asked for too often.
        """
        async with self._identity.desk() as desk:
            user = await desk.users.get(self._user_id)
            await desk.attempts.begin(desk.attempts.account(user.email, "confirm"))
            await enqueue(desk.session, send_confirmation, Asked("email", user.id))
            await desk.log.record("email.confirmation_asked_for", ("user", user.id))

    async def change_password(self, data: PasswordChange) -> None:
        """Set a new password, end all other sessions, and take back a change of address that is not confirmed yet.

        Raises:
            TooManyAttempts: too many wrong passwords.
            WrongPassword: the present one is wrong.
            CommonPassword: the new one is guessed first.
        """
        names = await self._demand_password(data.current_password, pointer="/current_password")
        passwords = self._identity.passwords
        password_hash = await passwords.hash_new(data.new_password, about=names, pointer="/new_password")
        async with self._identity.desk() as desk:
            user = await desk.users.get(self._user_id)
            user.password_hash = password_hash
            await desk.session.flush()
            await desk.sessions.end("password_changed", user_id=user.id, but=self._session_id)
            await desk.confirmations.forget_elsewhere(user.id, email=user.email)
            await desk.attempts.forget(desk.attempts.account(user.email))
            await desk.log.record("password.changed", ("user", user.id))

    async def begin_totp(self, password: str) -> NewTotp:
        """Return a secret for an authenticator app, which a first code must confirm.

        Raises:
            TooManyAttempts, WrongPassword: as for a new password.
            HasTotp: there is a second factor.
        """
        await self._demand_password(password)
        async with self._identity.desk() as desk:
            user = await desk.users.get(self._user_id)
            await desk.attempts.forget(desk.attempts.account(user.email))
            await desk.log.record("second_factor.begun", ("user", user.id))
            return await desk.factors.begin(user.id, account=user.email, issuer=self._identity.tenant.slug)

    async def confirm_totp(self, code: str) -> NewRecoveryCodes:
        """Ask for codes at log-in from now on, and return recovery codes.

        Raises:
            NoTotp: there is no secret that waits for its first code.
            WrongCode: the code is not the app's.
        """
        async with self._identity.desk() as desk:
            codes = await desk.factors.confirm(self._user_id, code)
            await desk.log.record("second_factor.added", ("user", self._user_id))
            return codes

    async def remove_totp(self, data: PasswordAndCode) -> None:
        """Ask for no codes any more.

        Raises:
            TooManyAttempts, WrongPassword: as for a new password.
            WrongCode: there is no code, or it is wrong or used.
        """
        async with self._proved(data) as desk:
            await desk.factors.remove(self._user_id)
            await desk.log.record("second_factor.removed", ("user", self._user_id))

    async def renew_recovery_codes(self, data: PasswordAndCode) -> NewRecoveryCodes:
        """Replace the recovery codes.

        Raises:
            TooManyAttempts, WrongPassword: as for a new password.
            WrongCode: there is no code, or it is wrong or used.
            NoTotp: there is no second factor that they could stand in for.
        """
        async with self._proved(data) as desk:
            await desk.log.record("recovery_codes.renewed", ("user", self._user_id))
            return await desk.factors.renew_recovery_codes(self._user_id)

    async def end_session(self, session_id: UUID) -> None:
        """End one session of the user.

        Raises:
            NotFound: the user has no such session that is not over.
        """
        async with self._identity.desk() as desk:
            if not await desk.sessions.end("logged_out", user_id=self._user_id, only=session_id):
                raise NotFound
            await desk.log.record("session.ended", ("session", session_id))

    async def _demand_password(self, password: str, pointer: str = "/password") -> tuple[str, ...]:
        """Pass if the password is the user's, and return what the user and the tenant are called."""
        async with self._identity.desk() as desk:
            user = await desk.users.get(self._user_id)
            await desk.attempts.begin(desk.attempts.account(user.email))
        if not await self._identity.passwords.matches(password, user.password_hash):
            raise WrongPassword(pointer)
        return user.email, user.name, self._identity.tenant.slug

    @asynccontextmanager
    async def _proved(self, data: PasswordAndCode) -> AsyncGenerator[Desk]:
        """Open a transaction for who has shown password and code; a code that is right is used up in it."""
        await self._demand_password(data.password)
        async with self._identity.desk() as desk:
            proof = await desk.factors.prove(self._user_id, data.code)
            if proof == "not_asked":
                raise NoTotp
            if proof != "proved":
                raise WrongCode
            user = await desk.users.get(self._user_id)
            await desk.attempts.forget(desk.attempts.account(user.email))
            yield desk
