"""`/oauth/token`, `/oauth/revoke`, `/oauth/introspect`. Their errors are those of RFC 6749, section 5.2."""

import base64
from urllib.parse import unquote_plus

from litestar import Request, Response, Router, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import ValidationException
from litestar.openapi import ResponseSpec
from litestar.params import URLEncodedBody

from leasehold.tenancy.bind import TenantReader
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.auth.identity import Identity
from leasehold.workspace.auth.routes import provide_auth
from leasehold.workspace.auth.schemas import IssuedToken
from leasehold.workspace.auth.service import AuthService
from leasehold.workspace.oauth.schemas import (
    ClientCredentials,
    Introspection,
    TokenRequest,
    TokenToInspect,
    TokenToRevoke,
)
from leasehold.workspace.oauth.service import UNKNOWN_CLIENT, Credentials, OAuthService, Refusal
from leasehold.workspace.uses import Uses

TOKEN_ISSUED = ResponseSpec(IssuedToken, generate_examples=False, description="The token (RFC 6749, section 5.1)")
INTROSPECTED = ResponseSpec(Introspection, generate_examples=False, description="RFC 7662, section 2.2")
AnyRequest = Request[None, None, State]
OAuthError = Response[dict[str, str]]


def provide_oauth(identity: NamedDependency[Identity]) -> OAuthService:
    """Return the service for the tenant of the request."""
    return OAuthService(identity)


@post(
    "/token",
    operation_id="issueToken",
    summary="Get an access token",
    responses={200: TOKEN_ISSUED},
    status_code=200,
    takes_form=True,
    is_credential_endpoint=True,
    only_reads=True,
)
async def issue_token(
    request: AnyRequest,
    data: URLEncodedBody[TokenRequest],
    tenant: NamedDependency[TenantRef],
    oauth: NamedDependency[OAuthService],
    auth: NamedDependency[AuthService],
    client_uses: NamedDependency[Uses],
) -> Response[IssuedToken] | OAuthError:
    """Exchange client credentials (RFC 6749, section 4.4) or a user's refresh token (section 6) for an access token."""
    if data.grant_type == "refresh_token":
        return await _refresh(data, auth)
    if data.grant_type != "client_credentials":
        error = "unsupported_grant_type" if data.grant_type else "invalid_request"
        return _oauth_error(400, error, "The grant_type must be client_credentials or refresh_token.")
    credentials = _credentials_of(request, data)
    if not isinstance(credentials, Credentials):
        return credentials
    client = await oauth.authenticate(credentials)
    if client is None:
        return _invalid_client()
    issued = await oauth.issue(client, scope=data.scope)
    if isinstance(issued, Refusal):
        return _refuse(issued)
    client_uses.note(tenant.id, client.id)
    return Response(issued)


@post(
    "/revoke",
    operation_id="revokeToken",
    summary="Revoke a token",
    status_code=200,
    takes_form=True,
    is_credential_endpoint=True,
)
async def revoke_token(
    request: AnyRequest, data: URLEncodedBody[TokenToRevoke], oauth: NamedDependency[OAuthService]
) -> OAuthError:
    """End the session of a refresh or access token (RFC 7009); an unknown token is answered like a known one."""
    if not data.token:
        return _oauth_error(400, "invalid_request", "Name the token.")
    if _has_credentials(request, data):
        credentials = _credentials_of(request, data)
        if not isinstance(credentials, Credentials):
            return credentials
        if await oauth.authenticate(credentials) is None:
            return _invalid_client()
    refused = await oauth.revoke(data.token)
    return _refuse(refused) if refused else Response({})


@post(
    "/introspect",
    operation_id="introspectToken",
    summary="Ask what a token is good for",
    responses={200: INTROSPECTED},
    status_code=200,
    takes_form=True,
    is_credential_endpoint=True,
    only_reads=True,
)
async def introspect_token(
    request: AnyRequest,
    data: URLEncodedBody[TokenToInspect],
    oauth: NamedDependency[OAuthService],
    credential_reader: NamedDependency[TenantReader],
) -> Response[Introspection] | OAuthError:
    """Tell a client of the tenant what a token of the tenant is good for (RFC 7662)."""
    credentials = _credentials_of(request, data)
    if not isinstance(credentials, Credentials):
        return credentials
    if await oauth.authenticate(credentials) is None:
        return _invalid_client()
    if not data.token:
        return _oauth_error(400, "invalid_request", "Name the token.")
    return Response(await oauth.introspect(data.token, credential_reader))


async def _refresh(data: TokenRequest, auth: AuthService) -> Response[IssuedToken] | OAuthError:
    if not data.refresh_token:
        return _oauth_error(400, "invalid_request", "Send the refresh_token.")
    issued = await auth.refresh(data.refresh_token, scope=data.scope)
    if issued is None:
        return _oauth_error(400, "invalid_scope", "The user's role does not give all of these scopes.")
    if not isinstance(issued, IssuedToken):
        return _oauth_error(400, "invalid_grant", "The refresh token is unknown, expired, used or revoked.")
    return Response(issued)


def _on_invalid(_request: AnyRequest, _error: ValidationException) -> OAuthError:
    return _oauth_error(400, "invalid_request", "A parameter is missing, repeated or malformed.")


router = Router(
    "/oauth",
    route_handlers=[issue_token, revoke_token, introspect_token],
    exception_handlers={ValidationException: _on_invalid},
    dependencies={
        "auth": Provide(provide_auth, sync_to_thread=False),
        "oauth": Provide(provide_oauth, sync_to_thread=False),
    },
    tags=["oauth"],
)


def _has_credentials(request: AnyRequest, data: ClientCredentials) -> bool:
    return "authorization" in request.headers or data.client_id is not None or data.client_secret is not None


def _credentials_of(request: AnyRequest, data: ClientCredentials) -> Credentials | OAuthError:
    basic = request.headers.get("authorization")
    if basic is not None and data.client_secret is not None:
        return _oauth_error(400, "invalid_request", "The client must authenticate in one way only.")
    client_id, client_secret = _basic_credentials(basic) if basic else (data.client_id, data.client_secret)
    if client_id is None or client_secret is None:
        return _invalid_client()
    return Credentials(client_id, client_secret)


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


def _refuse(refusal: Refusal) -> OAuthError:
    if refusal.error == "invalid_client":
        return _invalid_client()
    return _oauth_error(400, refusal.error, refusal.description)


def _invalid_client() -> OAuthError:
    response = _oauth_error(401, "invalid_client", UNKNOWN_CLIENT)
    response.headers["WWW-Authenticate"] = 'Basic realm="leasehold"'
    return response


def _oauth_error(status: int, error: str, description: str) -> OAuthError:
    return Response({"error": error, "error_description": description}, status_code=status)
