"""`/v1/me`."""

from uuid import UUID

from litestar import Router, delete, get, patch, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from leasehold.core.attempts.rule import TooManyAttempts
from leasehold.core.login.refusals import HasTotp, NoTotp, WrongCode, WrongPassword
from leasehold.core.login.schemas import (
    FirstCode,
    NewRecoveryCodes,
    NewTotp,
    PasswordAndCode,
    PasswordChange,
    PasswordOnly,
)
from leasehold.core.pagination import Page
from leasehold.core.passwords import CommonPassword
from leasehold.core.principal import Principal
from leasehold.tenancy.bind import TenantReader
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.account.repository import AccountReads
from leasehold.workspace.account.schemas import Me, ProfilePatch, Session
from leasehold.workspace.account.service import AccountService, describe
from leasehold.workspace.auth.identity import Identity, UsersOnly, user_id_of


def provide_account(identity: NamedDependency[Identity], principal: NamedDependency[Principal]) -> AccountService:
    """Return the service for the user of the request."""
    return AccountService(identity, principal)


@get("/", operation_id="whoAmI", summary="Who am I", scopes=())
async def who_am_i(
    tenant: NamedDependency[TenantRef],
    principal: NamedDependency[Principal],
    reader: NamedDependency[TenantReader],
) -> Me:
    """Return tenant, subject and scopes of the access token, and the profile of a user."""
    return await describe(reader, tenant, principal)


@patch(
    "/",
    operation_id="updateMe",
    summary="Change oneself",
    problems=(UsersOnly, WrongPassword, TooManyAttempts),
    scopes=(),
)
async def update_me(
    data: JSONBody[ProfilePatch],
    account: NamedDependency[AccountService],
    tenant: NamedDependency[TenantRef],
    principal: NamedDependency[Principal],
    reader: NamedDependency[TenantReader],
) -> Me:
    """Change the fields that are given; a new e-mail address takes the password, and the answer to the mail to it."""
    await account.change(data)
    return await describe(reader, tenant, principal)


@put(
    "/password",
    operation_id="changePassword",
    summary="Change one's password",
    problems=(UsersOnly, WrongPassword, CommonPassword, TooManyAttempts),
    scopes=(),
    status_code=204,
)
async def change_password(data: JSONBody[PasswordChange], account: NamedDependency[AccountService]) -> None:
    """Set a new password; all other sessions of the user end."""
    await account.change_password(data)


@post(
    "/email-confirmation",
    operation_id="askToConfirmEmail",
    summary="Ask for the mail",
    problems=(UsersOnly, TooManyAttempts),
    scopes=(),
    status_code=204,
)
async def ask_to_confirm_email(account: NamedDependency[AccountService]) -> None:
    """Send the mail that confirms the present address once more."""
    await account.ask_to_confirm_email()


@get("/sessions", operation_id="listSessions", summary="List one's sessions", problems=(UsersOnly,), scopes=())
async def list_sessions(principal: NamedDependency[Principal], reader: NamedDependency[TenantReader]) -> Page[Session]:
    """Return the sessions of the user that are not over, the latest first, at most 100."""
    sessions = await AccountReads(reader, user_id_of(principal)).sessions()
    return Page(sessions, None, has_more=False)


@delete(
    "/sessions/{session_id:uuid}",
    operation_id="endSession",
    summary="End one of one's sessions",
    problems=(UsersOnly,),
    scopes=(),
)
async def end_session(session_id: FromPath[UUID], account: NamedDependency[AccountService]) -> None:
    """End a session; its tokens are refused within a second."""
    await account.end_session(session_id)


@post(
    "/totp",
    operation_id="beginTotp",
    summary="Begin to use an authenticator app",
    problems=(UsersOnly, WrongPassword, HasTotp, TooManyAttempts),
    scopes=(),
)
async def begin_totp(data: JSONBody[PasswordOnly], account: NamedDependency[AccountService]) -> NewTotp:
    """Return a secret for an authenticator app, shown this once; it holds once its first code has confirmed it."""
    return await account.begin_totp(data.password)


@post(
    "/totp/confirm",
    operation_id="confirmTotp",
    summary="Confirm the authenticator app",
    problems=(UsersOnly, NoTotp, WrongCode),
    scopes=(),
    status_code=200,
)
async def confirm_totp(data: JSONBody[FirstCode], account: NamedDependency[AccountService]) -> NewRecoveryCodes:
    """Ask for codes at log-in from now on, and return recovery codes, shown this once."""
    return await account.confirm_totp(data.code)


@post(
    "/totp/remove",
    operation_id="removeTotp",
    summary="Use no authenticator app",
    problems=(UsersOnly, WrongPassword, WrongCode, NoTotp, TooManyAttempts),
    scopes=(),
    status_code=204,
)
async def remove_totp(data: JSONBody[PasswordAndCode], account: NamedDependency[AccountService]) -> None:
    """Ask for codes at log-in no more."""
    await account.remove_totp(data)


@post(
    "/recovery-codes",
    operation_id="renewRecoveryCodes",
    summary="Replace the recovery codes",
    problems=(UsersOnly, WrongPassword, WrongCode, NoTotp, TooManyAttempts),
    scopes=(),
)
async def renew_recovery_codes(
    data: JSONBody[PasswordAndCode], account: NamedDependency[AccountService]
) -> NewRecoveryCodes:
    """Replace the recovery codes, and return the new ones, shown this once."""
    return await account.renew_recovery_codes(data)


router = Router(
    "/me",
    route_handlers=[
        who_am_i,
        update_me,
        change_password,
        ask_to_confirm_email,
        list_sessions,
        end_session,
        begin_totp,
        confirm_totp,
        remove_totp,
        renew_recovery_codes,
    ],
    dependencies={"account": Provide(provide_account, sync_to_thread=False)},
    tags=["me"],
)
