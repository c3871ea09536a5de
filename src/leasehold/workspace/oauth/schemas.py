"""The forms of the OAuth endpoints, and what they answer."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

GRANT_TYPES = ("client_credentials", "refresh_token")
"""What may be exchanged for a token at `/oauth/token`."""

Word = Annotated[str, Meta(max_length=100)]
Secret = Annotated[str, Meta(max_length=255)]
Scope = Annotated[str, Meta(max_length=4096)]
Token = Annotated[str, Meta(max_length=16_384)]
"""Of either kind: an access token names all of its scopes."""


class ClientCredentials(Struct):
    """How a client authenticates in a form, unless it does so in HTTP Basic (RFC 6749, section 2.3.1)."""

    client_id: Secret | None = None
    client_secret: Secret | None = None


class TokenRequest(ClientCredentials):
    """A token request: by client credentials (RFC 6749, section 4.4.2) or by a refresh token (section 6)."""

    grant_type: Word = ""
    scope: Scope | None = None
    refresh_token: Secret | None = None


class TokenToRevoke(ClientCredentials):
    """A revocation request (RFC 7009, section 2.1). The hint is not needed: a token shows what it is."""

    token: Token = ""
    token_type_hint: Word | None = None


class TokenToInspect(ClientCredentials):
    """An introspection request (RFC 7662, section 2.1)."""

    token: Token = ""
    token_type_hint: Word | None = None


class Introspection(Struct, omit_defaults=True):
    """What is known of a token (RFC 7662, section 2.2); of one that is not good, nothing but that."""

    active: bool
    scope: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    token_type: Literal["Bearer", "refresh_token"] | UnsetType = UNSET
    exp: int | UnsetType = UNSET
    sub: str | UnsetType = UNSET
    tenant: str | UnsetType = UNSET
