"""`/v1/auth/*`."""

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody

from leasehold.core.errors import Unauthenticated
from leasehold.core.login.refusals import REFUSALS, InvalidCredentials, SecondFactorRequired, WrongSecondFactor
from leasehold.core.passwords import CommonPassword
from leasehold.core.principal import Principal
from leasehold.core.signing import NoSigningKey
from leasehold.workspace.auth.identity import Identity, UsersOnly
from leasehold.workspace.auth.schemas import (
    EmailConfirmation,
    ForgottenPassword,
    IssuedToken,
    Login,
    PasswordReset,
    Refresh,
    Registration,
)
from leasehold.workspace.auth.service import AuthService, InvalidInvitation, InvitationRequired, RegistrationClosed
from leasehold.workspace.confirmations.service import ConfirmationService, InvalidConfirmation
from leasehold.workspace.limits.service import LimitExceeded
from leasehold.workspace.users.schemas import User
from leasehold.workspace.users.service import EmailTaken


class InvalidRefreshToken(Unauthenticated):
    """The refresh token is unknown, expired, used or revoked; log in again."""

    type = "invalid-refresh-token"
    title = "Invalid refresh token"


def provide_auth(identity: NamedDependency[Identity]) -> AuthService:
    """Return the service for the tenant of the request."""
    return AuthService(identity)


def provide_confirmations(identity: NamedDependency[Identity]) -> ConfirmationService:
    """Return the service for the tenant of the request."""
    return ConfirmationService(identity)


@post(
    "/register",
    operation_id="register",
    summary="Sign up as a user of the tenant",
    problems=(
        RegistrationClosed,
        InvitationRequired,
        InvalidInvitation,
        EmailTaken,
        CommonPassword,
        LimitExceeded,
    ),
    is_credential_endpoint=True,
)
async def register(
    data: JSONBody[Registration], auth: NamedDependency[AuthService], client_address: NamedDependency[str]
) -> User:
    """Make a user: a member, or what an invitation says."""
    return await auth.register(data, address=client_address)


@post(
    "/login",
    operation_id="login",
    summary="Log in by e-mail address and password",
    problems=(InvalidCredentials, SecondFactorRequired, WrongSecondFactor, NoSigningKey),
    status_code=200,
    is_credential_endpoint=True,
)
async def login(
    data: JSONBody[Login], auth: NamedDependency[AuthService], client_address: NamedDependency[str]
) -> IssuedToken:
    """Begin a session, and return its tokens with the scopes of the user's role."""
    issued = await auth.login(data, address=client_address)
    if not isinstance(issued, IssuedToken):
        raise REFUSALS[issued]
    return issued


@post(
    "/refresh",
    operation_id="refreshSession",
    summary="Continue a session",
    problems=(InvalidRefreshToken, NoSigningKey),
    status_code=200,
    is_credential_endpoint=True,
)
async def refresh(data: JSONBody[Refresh], auth: NamedDependency[AuthService]) -> IssuedToken:
    """Return fresh tokens. The refresh token is used up: using it again later than 10 seconds ends the session."""
    issued = await auth.refresh(data.refresh_token)
    if not isinstance(issued, IssuedToken):
        raise InvalidRefreshToken
    return issued


@post("/logout", operation_id="logout", summary="Log out", problems=(UsersOnly,), scopes=(), status_code=204)
async def logout(auth: NamedDependency[AuthService], principal: NamedDependency[Principal]) -> None:
    """End the session of the access token; it is refused by every process within a second."""
    await auth.logout(principal)


@post(
    "/logout-all",
    operation_id="logoutEverywhere",
    summary="Log out everywhere",
    problems=(UsersOnly,),
    scopes=(),
    status_code=204,
)
async def logout_everywhere(auth: NamedDependency[AuthService], principal: NamedDependency[Principal]) -> None:
    """End all sessions of the user."""
    await auth.logout_everywhere(principal)


@post(
    "/forgotten-password",
    operation_id="askForPassword",
    summary="Ask for a new password",
    status_code=204,
    is_credential_endpoint=True,
)
async def ask_for_password(
    data: JSONBody[ForgottenPassword],
    confirmations: NamedDependency[ConfirmationService],
    client_address: NamedDependency[str],
) -> None:
    """Send a mail by which a user can set a password; the answer is the same where there is no such user."""
    await confirmations.ask_for_password(data.email, address=client_address)


@post(
    "/password-reset",
    operation_id="resetPassword",
    summary="Set a forgotten password",
    problems=(InvalidConfirmation, CommonPassword),
    status_code=204,
    is_credential_endpoint=True,
)
async def reset_password(data: JSONBody[PasswordReset], confirmations: NamedDependency[ConfirmationService]) -> None:
    """Set a password by the secret that came by mail; all sessions of the user end."""
    await confirmations.set_password(data.token, data.password)


@post(
    "/email-confirmation",
    operation_id="confirmEmail",
    summary="Confirm an e-mail address",
    problems=(InvalidConfirmation, EmailTaken),
    status_code=204,
    is_credential_endpoint=True,
)
async def confirm_email(data: JSONBody[EmailConfirmation], confirmations: NamedDependency[ConfirmationService]) -> None:
    """Confirm an address by the secret that came by mail."""
    await confirmations.confirm_email(data.token)


router = Router(
    "/auth",
    route_handlers=[
        register,
        login,
        refresh,
        logout,
        logout_everywhere,
        ask_for_password,
        reset_password,
        confirm_email,
    ],
    dependencies={
        "auth": Provide(provide_auth, sync_to_thread=False),
        "confirmations": Provide(provide_confirmations, sync_to_thread=False),
    },
    tags=["auth"],
)
