"""`/platform/v1/auth/*`."""

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody

from leasehold.core.login.refusals import REFUSALS, InvalidCredentials, SecondFactorRequired, WrongSecondFactor
from leasehold.core.passwords import CommonPassword
from leasehold.core.principal import Principal
from leasehold.core.signing import NoSigningKey
from leasehold.platform.auth.identity import AdminIdentity, LoggedInOnly
from leasehold.platform.auth.schemas import AdminLogin, IssuedAdminToken, NewPassword
from leasehold.platform.auth.service import AdminAuthService, InvalidSetupSecret


def provide_auth(identity: NamedDependency[AdminIdentity]) -> AdminAuthService:
    """Return the service of the request."""
    return AdminAuthService(identity)


@post(
    "/login",
    operation_id="logInAsAdmin",
    summary="Log in as an admin",
    problems=(InvalidCredentials, SecondFactorRequired, WrongSecondFactor, NoSigningKey),
    status_code=200,
    is_credential_endpoint=True,
)
async def login(
    data: JSONBody[AdminLogin], auth: NamedDependency[AdminAuthService], client_address: NamedDependency[str]
) -> IssuedAdminToken:
    """Begin a log-in, and return its token with the scopes of the admin."""
    issued = await auth.login(data, address=client_address)
    if not isinstance(issued, IssuedAdminToken):
        raise REFUSALS[issued]
    return issued


@post(
    "/password",
    operation_id="chooseAdminPassword",
    summary="Choose a password by a setup secret",
    problems=(InvalidSetupSecret, CommonPassword),
    status_code=204,
    is_credential_endpoint=True,
)
async def choose_password(
    data: JSONBody[NewPassword], auth: NamedDependency[AdminAuthService], client_address: NamedDependency[str]
) -> None:
    """Set the password of an admin by the secret that they were given; all their log-ins end."""
    await auth.choose_password(data, address=client_address)


@post(
    "/renew",
    operation_id="renewAdminToken",
    summary="Stay logged in as an admin",
    problems=(LoggedInOnly, NoSigningKey),
    scopes=(),
    status_code=200,
)
async def renew(auth: NamedDependency[AdminAuthService], principal: NamedDependency[Principal]) -> IssuedAdminToken:
    """Return another token of the same log-in; the one it is asked by stays good until it runs out."""
    return await auth.renew(principal)


@post(
    "/logout",
    operation_id="logOutAsAdmin",
    summary="Log out as an admin",
    problems=(LoggedInOnly,),
    scopes=(),
    status_code=204,
)
async def logout(auth: NamedDependency[AdminAuthService], principal: NamedDependency[Principal]) -> None:
    """End the log-in of the token; all its tokens are refused at once."""
    await auth.logout(principal)


@post(
    "/logout-all",
    operation_id="logOutAdminEverywhere",
    summary="Log out everywhere",
    problems=(LoggedInOnly,),
    scopes=(),
    status_code=204,
)
async def logout_everywhere(auth: NamedDependency[AdminAuthService], principal: NamedDependency[Principal]) -> None:
    """End all log-ins of the admin."""
    await auth.logout(principal, everywhere=True)


router = Router(
    "/auth",
    route_handlers=[login, choose_password, renew, logout, logout_everywhere],
    dependencies={"auth": Provide(provide_auth, sync_to_thread=False)},
    tags=["admins"],
)
