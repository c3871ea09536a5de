"""`/platform/v1/me`."""

from litestar import Router, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody

from leasehold.core.attempts.rule import TooManyAttempts
from leasehold.core.database import PlatformSession
from leasehold.core.login.refusals import HasTotp, NoTotp, WrongCode, WrongPassword
from leasehold.core.login.schemas import (
    FirstCode,
    NewRecoveryCodes,
    NewTotp,
    PasswordAndCode,
    PasswordChange,
    PasswordOnly,
)
from leasehold.core.passwords import CommonPassword
from leasehold.core.principal import Principal
from leasehold.platform.account.schemas import PlatformIdentity
from leasehold.platform.account.service import AdminAccountService, TotpDemanded, describe
from leasehold.platform.auth.identity import AdminIdentity, LoggedInOnly


def provide_account(
    identity: NamedDependency[AdminIdentity], principal: NamedDependency[Principal]
) -> AdminAccountService:
    """Return the service for the admin of the request."""
    return AdminAccountService(identity, principal)


@get("/", operation_id="whichAdminAmI", summary="Who am I", scopes=())
async def which_admin_am_i(
    session: NamedDependency[PlatformSession], principal: NamedDependency[Principal]
) -> PlatformIdentity:
    """Return the admin and the scopes of the token."""
    return await describe(session, principal)


@put(
    "/password",
    operation_id="changeAdminPassword",
    summary="Change one's password",
    problems=(LoggedInOnly, WrongPassword, CommonPassword, TooManyAttempts),
    scopes=(),
    status_code=204,
)
async def change_password(data: JSONBody[PasswordChange], account: NamedDependency[AdminAccountService]) -> None:
    """Set a new password; all other log-ins end."""
    await account.change_password(data)


@post(
    "/totp",
    operation_id="beginAdminTotp",
    summary="Begin to use an authenticator app",
    problems=(LoggedInOnly, WrongPassword, HasTotp, TooManyAttempts),
    scopes=(),
)
async def begin_totp(data: JSONBody[PasswordOnly], account: NamedDependency[AdminAccountService]) -> NewTotp:
    """Return a secret for an authenticator app, shown this once; it holds once its first code has confirmed it."""
    return await account.begin_totp(data.password)


@post(
    "/totp/confirm",
    operation_id="confirmAdminTotp",
    summary="Confirm the authenticator app",
    problems=(LoggedInOnly, NoTotp, WrongCode),
    scopes=(),
    status_code=200,
)
async def confirm_totp(data: JSONBody[FirstCode], account: NamedDependency[AdminAccountService]) -> NewRecoveryCodes:
    """Ask for codes at log-in from now on, and return recovery codes, shown this once."""
    return await account.confirm_totp(data.code)


@post(
    "/totp/remove",
    operation_id="removeAdminTotp",
    summary="Use no authenticator app",
    problems=(LoggedInOnly, WrongPassword, WrongCode, NoTotp, TotpDemanded, TooManyAttempts),
    scopes=(),
    status_code=204,
)
async def remove_totp(data: JSONBody[PasswordAndCode], account: NamedDependency[AdminAccountService]) -> None:
    """Ask for codes at log-in no more."""
    await account.remove_totp(data)


@post(
    "/recovery-codes",
    operation_id="renewAdminRecoveryCodes",
    summary="Replace the recovery codes",
    problems=(LoggedInOnly, WrongPassword, WrongCode, NoTotp, TooManyAttempts),
    scopes=(),
)
async def renew_recovery_codes(
    data: JSONBody[PasswordAndCode], account: NamedDependency[AdminAccountService]
) -> NewRecoveryCodes:
    """Replace the recovery codes, and return the new ones, shown this once."""
    return await account.renew_recovery_codes(data)


router = Router(
    "/me",
    route_handlers=[which_admin_am_i, change_password, begin_totp, confirm_totp, remove_totp, renew_recovery_codes],
    dependencies={"account": Provide(provide_account, sync_to_thread=False)},
    tags=["admins"],
)
