"""What admins do with themselves. Whatever would let a thief of a log-in keep it asks for the password again."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from leasehold.core.database import PlatformSession
from leasehold.core.errors import Conflict, InvalidToken
from leasehold.core.login.refusals import NoTotp, WrongCode, WrongPassword
from leasehold.core.login.schemas import NewRecoveryCodes, NewTotp, PasswordAndCode, PasswordChange
from leasehold.core.principal import Principal
from leasehold.platform.account.schemas import PlatformIdentity
from leasehold.platform.admins.repository import AdminRepository
from leasehold.platform.auth.identity import AdminDesk, AdminIdentity, session_id_of
from leasehold.platform.auth.repository import AdminLoginRepository, LoginOfAdmin


class TotpDemanded(Conflict):
    """This platform demands a second factor of its admins; it can be replaced by another admin, not removed."""

    type = "second-factor-demanded"
    title = "Second factor demanded"


async def describe(session: PlatformSession, principal: Principal) -> PlatformIdentity:
    """Return who the admin of a token is."""
    admin = await AdminRepository(session=session).get(principal.subject)
    with_totp = await AdminLoginRepository(session=session).with_totp([admin.id])
    return PlatformIdentity(
        kind="admin",
        subject=admin.id,
        name=admin.name,
        scopes=sorted(principal.scopes),
        has_totp=admin.id in with_totp,
        session_id=principal.session_id,
        expires_at=datetime.fromtimestamp(principal.expires_at, UTC),
    )


class AdminAccountService:
    """What the admin of a log-in does with themselves."""

    def __init__(self, identity: AdminIdentity, principal: Principal) -> None:
        """Take the admin.

        Raises:
            LoggedInOnly: they did not log in.
        """
        self._identity = identity
        self._admin_id = principal.subject
        self._session_id = session_id_of(principal)

    async def change_password(self, data: PasswordChange) -> None:
        """Set a new password and end all other log-ins.

        Raises:
            TooManyAttempts: too many wrong passwords.
            WrongPassword: the present one is wrong.
            CommonPassword: the new one is guessed first.
        """
        name = await self._demand_password(data.current_password, pointer="/current_password")
        passwords = self._identity.passwords
        password_hash = await passwords.hash_new(data.new_password, about=(name,), pointer="/new_password")
        async with self._opened() as (desk, found):
            found.login.password_hash = password_hash
            await desk.sessions.end("password_changed", admin_id=self._admin_id, but=self._session_id)
            await desk.attempts.forget(desk.attempts.account(found.admin.name))
            await desk.log.record("password.changed", ("admin", self._admin_id))

    async def begin_totp(self, password: str) -> NewTotp:
        """Return a secret for an authenticator app, which a first code must confirm.

        Raises:
            TooManyAttempts, WrongPassword: as for a new password.
            HasTotp: there is a second factor.
        """
        await self._demand_password(password)
        async with self._opened() as (desk, found):
            await desk.attempts.forget(desk.attempts.account(found.admin.name))
            await desk.log.record("second_factor.begun", ("admin", self._admin_id))
            factor = desk.second_factor(found.login)
            return factor.begin(account=found.admin.name, issuer=self._identity.issuer)

    async def confirm_totp(self, code: str) -> NewRecoveryCodes:
        """Ask for codes at log-in from now on, and return recovery codes.

        Raises:
            NoTotp: there is no secret that waits for its first code.
            WrongCode: the code is not the app's.
        """
        async with self._opened() as (desk, found):
            codes = desk.second_factor(found.login).confirm(code)
            await desk.log.record("second_factor.added", ("admin", self._admin_id))
            return codes

    async def remove_totp(self, data: PasswordAndCode) -> None:
        """Ask for no codes any more.

        Raises:
            TotpDemanded: the platform's settings demand them.
            TooManyAttempts, WrongPassword: as for a new password.
            WrongCode: there is no code, or it is wrong or used.
        """
        if self._identity.demands_totp:
            raise TotpDemanded
        async with self._proved(data) as (desk, found):
            desk.second_factor(found.login).remove()
            await desk.log.record("second_factor.removed", ("admin", self._admin_id))

    async def renew_recovery_codes(self, data: PasswordAndCode) -> NewRecoveryCodes:
        """Replace the recovery codes.

        Raises:
            TooManyAttempts, WrongPassword: as for a new password.
            WrongCode: there is no code, or it is wrong or used.
            NoTotp: there is no second factor that they could stand in for.
        """
        async with self._proved(data) as (desk, found):
            await desk.log.record("recovery_codes.renewed", ("admin", self._admin_id))
            return desk.second_factor(found.login).renew_recovery_codes()

    async def _demand_password(self, password: str, pointer: str = "/password") -> str:
        """Pass if the password is the admin's, and return the admin's name."""
        async with self._opened() as (desk, found):
            await desk.attempts.begin(desk.attempts.account(found.admin.name))
        if not await self._identity.passwords.matches(password, found.login.password_hash):
            raise WrongPassword(pointer)
        return found.admin.name

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[tuple[AdminDesk, LoginOfAdmin]]:
        """Open a transaction, with the admin's row locked."""
        async with self._identity.desk() as desk:
            found = await desk.logins.locked(self._admin_id)
            if found is None or not found.admin.is_active:
                raise InvalidToken
            yield desk, found

    @asynccontextmanager
    async def _proved(self, data: PasswordAndCode) -> AsyncGenerator[tuple[AdminDesk, LoginOfAdmin]]:
        """Open a transaction for who has shown password and code; a code that is right is used up in it."""
        await self._demand_password(data.password)
        async with self._opened() as (desk, found):
            proof = desk.second_factor(found.login).prove(data.code)
            if proof == "not_asked":
                raise NoTotp
            if proof != "proved":
                raise WrongCode
            await desk.attempts.forget(desk.attempts.account(found.admin.name))
            yield desk, found
