"""`/oauth/token`, `/v1/auth/*` and `/v1/me`."""

import base64
from urllib.parse import unquote_plus
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import ValidationException
from litestar.params import JSONBody, URLEncodedBody

from leasehold.core.credentials import MalformedSecret, parse_secret
from leasehold.core.errors import Unauthenticated
from leasehold.core.passwords import Passwords
from leasehold.core.principal import Principal
from leasehold.core.tokens import AccessTokens
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import TenantReader
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.schemas import IssuedToken, Login, Me, Registration, TokenRequest
from leasehold.workspace.auth.service import AuthService, OpenSession, Refusal, describe
from leasehold.workspace.users.schemas import User
from leasehold.workspace.uses import Uses

_NO_STORE = {"Cache-Control": "no-store"}


class InvalidCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""

    type = "invalid-credentials"
    title = "Invalid credentials"


def provide_auth(
    tenant: NamedDependency[TenantRef],
    open_session: NamedDependency[OpenSession],
    tokens: NamedDependency[AccessTokens],
    passwords: NamedDependency[Passwords],
    installation_key: NamedDependency[InstallationKey],
) -> AuthService:
    """Return the service for the tenant of the request."""
    return AuthService(tenant, open_session, tokens=tokens, passwords=passwords, key=installation_key)


@post(
    "/token",
    operation_id="issueToken",
    summary="Get an access token by client credentials",
    status_code=200,
    takes_form=True,
    is_credential_endpoint=True,
)
async def issue_token(
    request: Request[None, None, State],
    data: URLEncodedBody[TokenRequest],
    tenant: NamedDependency[TenantRef],
    auth: NamedDependency[AuthService],
    client_uses: NamedDependency[Uses],
) -> Response[IssuedToken] | Response[dict[str, str]]:
    """Exchange client id and secret for a token (RFC 6749, section 4.4); errors are those of its section 5.2."""
    if data.grant_type != "client_credentials":
        error = "unsupported_grant_type" if data.grant_type else "invalid_request"
        return _oauth_error(400, error, "The grant_type must be client_credentials.")
    basic = request.headers.get("authorization")
    if basic is not None and data.client_secret is not None:
        return _oauth_error(400, "invalid_request", "The client must authenticate in one way only.")
    client_id, client_secret = _basic_credentials(basic) if basic else (data.client_id, data.client_secret)
    if client_id is None or client_secret is None or not _is_secret_of(tenant, client_secret):
        return _invalid_client("The client is unknown, or its secret is wrong.")
    try:
        parsed_id = UUID(client_id)
    except ValueError:
        return _invalid_client("The client is unknown, or its secret is wrong.")
    issued = await auth.exchange(client_id=parsed_id, client_secret=client_secret, scope=data.scope)
    if not isinstance(issued, IssuedToken):
        return _refuse(issued)
    client_uses.note(tenant.id, parsed_id)
    return Response(issued, headers=_NO_STORE)


@post(
    "/register",
    operation_id="register",
    summary="Sign up as a user of the tenant",
    is_credential_endpoint=True,
)
async def register(data: JSONBody[Registration], auth: NamedDependency[AuthService]) -> User:
    """Make a user with the role of a member."""
    return await auth.register(email=data.email, password=data.password, name=data.name)


@post(
    "/login",
    operation_id="login",
    summary="Get an access token by e-mail address and password",
    status_code=200,
    is_credential_endpoint=True,
)
async def login(data: JSONBody[Login], auth: NamedDependency[AuthService]) -> Response[IssuedToken]:
    """Return a token with the scopes of the user's role."""
    issued = await auth.login(email=data.email, password=data.password)
    if issued is None:
        raise InvalidCredentials
    return Response(issued, headers=_NO_STORE)


@get("/me", operation_id="whoAmI", summary="Who am I", scopes=(), tags=["auth"])
async def who_am_i(
    tenant: NamedDependency[TenantRef],
    principal: NamedDependency[Principal],
    reader: NamedDependency[TenantReader],
) -> Me:
    """Return tenant, subject and scopes of the access token or API key."""
    return await describe(reader, tenant, principal)


def _on_invalid(_request: Request[None, None, State], _error: ValidationException) -> Response[dict[str, str]]:
    return _oauth_error(400, "invalid_request", "A parameter is missing, repeated or malformed.")


def _oauth_error(status: int, error: str, description: str) -> Response[dict[str, str]]:
    return Response({"error": error, "error_description": description}, status_code=status, headers=_NO_STORE)


oauth_router = Router(
    "/oauth",
    route_handlers=[issue_token],
    exception_handlers={ValidationException: _on_invalid},
    dependencies={"auth": Provide(provide_auth, sync_to_thread=False)},
    tags=["auth"],
)
router = Router(
    "/auth",
    route_handlers=[register, login],
    dependencies={"auth": Provide(provide_auth, sync_to_thread=False)},
    tags=["auth"],
)


def _basic_credentials(header: str) -> tuple[str | None, str | None]:
    """Return id and secret of an HTTP Basic header, both form-encoded in it (RFC 6749, section 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None, None
    if scheme.lower() != "basic" or not colon:
        return None, None
    return unquote_plus(client_id), unquote_plus(secret)


def _is_secret_of(tenant: TenantRef, secret: str) -> bool:
    try:
        return parse_secret(secret).tenant_id == tenant.id
    except MalformedSecret:
        return False


def _refuse(refusal: Refusal) -> Response[dict[str, str]]:
    if refusal.error == "invalid_client":
        return _invalid_client(refusal.description)
    return _oauth_error(400, refusal.error, refusal.description)


def _invalid_client(description: str) -> Response[dict[str, str]]:
    response = _oauth_error(401, "invalid_client", description)
    response.headers["WWW-Authenticate"] = 'Basic realm="leasehold"'
    return response
