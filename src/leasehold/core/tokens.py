"""Access tokens: signed JWTs of type `at+jwt` (RFC 9068), EdDSA alone (RFC 8037), one issuer per installation."""

import time
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import jwt
from jwt.utils import base64url_decode, base64url_encode

from leasehold.core.errors import InvalidToken
from leasehold.core.ids import new_id
from leasehold.core.principal import Principal
from leasehold.core.signing import ALGORITHM, MAX_TOKEN_LIFE_S, KeyRing

AUDIENCE = "leasehold:tenant-api"
PLATFORM_AUDIENCE = "leasehold:platform-api"
_ALWAYS = ("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "kind")
_CLAIMS = {AUDIENCE: (*_ALWAYS, "tenant"), PLATFORM_AUDIENCE: (*_ALWAYS, "sid")}
_KINDS = {AUDIENCE: {"user", "client", "admin"}, PLATFORM_AUDIENCE: {"admin"}}
_HEADER = {"alg", "typ", "kid"}
_MAX_LENGTH = 4096
_REMEMBERED = 10_000
_LEEWAY_S = 5
"""By how many seconds the clock of who issued a token may be ahead."""


class AccessTokens:
    """Issues access tokens and verifies them. A verified one is remembered until it expires, at most 10,000 of them."""

    def __init__(self, ring: KeyRing, *, issuer: str, lifetime_s: int) -> None:
        self.ring = ring
        self.lifetime_s = lifetime_s
        self._issuer = issuer
        self._verified: dict[str, Principal] = {}

    def use(self, ring: KeyRing) -> None:
        """Sign and verify by these keys from now on. If one has gone, its tokens are refused at once."""
        if self.ring.kids - ring.kids:
            self._verified.clear()
        self.ring = ring

    def issue(
        self,
        *,
        kind: Literal["user", "client"],
        subject: UUID,
        tenant_id: UUID,
        scopes: frozenset[str],
        session_id: UUID | None = None,
    ) -> str:
        """Return a signed token for a subject of one tenant, valid for `lifetime_s` seconds.

        The token of a user names the session it belongs to (`sid`, as OpenID Connect has it), and ends with it.

        Raises:
            NoSigningKey: there is no key to sign with.
        """
        claims = {"tenant": str(tenant_id), "kind": kind}
        if session_id is not None:
            claims["sid"] = str(session_id)
        return self._signed(AUDIENCE, subject, scopes, claims)

    def issue_for_platform(self, *, admin_id: UUID, session_id: UUID, scopes: frozenset[str]) -> str:
        """Return a signed token for the log-in of an admin, valid for `lifetime_s` seconds, and for the platform alone.

        Raises:
            NoSigningKey: there is no key to sign with.
        """
        return self._signed(PLATFORM_AUDIENCE, admin_id, scopes, {"kind": "admin", "sid": str(session_id)})

    def issue_impersonation(
        self, *, admin_id: UUID, tenant_id: UUID, impersonation_id: UUID, scopes: frozenset[str], lifetime_s: int
    ) -> str:
        """Return a signed token by which an admin of the platform acts in one tenant.

        It says so by `act` (RFC 8693, section 4.1). The admin acts in no user's name, so both are the same.

        Raises:
            NoSigningKey: there is no key to sign with.
        """
        claims = {
            "tenant": str(tenant_id),
            "kind": "admin",
            "sid": str(impersonation_id),
            "act": {"sub": str(admin_id)},
        }
        return self._signed(AUDIENCE, admin_id, scopes, claims, lifetime_s=lifetime_s)

    def verify(self, token: str) -> Principal:
        """Return whom a token of the tenants' API speaks for.

        Raises:
            InvalidToken: malformed, expired, of another issuer, audience or type, or wrongly signed.
        """
        principal = self._verified.get(token)
        if principal is None:
            principal = self._decode(token, AUDIENCE)
            if len(self._verified) >= _REMEMBERED:
                self._verified.pop(next(iter(self._verified)))
            self._verified[token] = principal
        if principal.expires_at <= time.time():
            self._verified.pop(token, None)
            raise InvalidToken
        return principal

    def verify_for_platform(self, token: str) -> Principal:
        """Return which admin a token of the platform API speaks for, by which log-in, be that over or not.

        Raises:
            InvalidToken: as for `verify`.
        """
        principal = self._decode(token, PLATFORM_AUDIENCE)
        if principal.expires_at <= time.time():
            raise InvalidToken
        return principal

    def _signed(
        self,
        audience: str,
        subject: UUID,
        scopes: frozenset[str],
        claims: Mapping[str, object],
        *,
        lifetime_s: int | None = None,
    ) -> str:
        now = int(time.time())
        key = self.ring.signing(now)
        return jwt.encode(
            {
                "iss": self._issuer,
                "aud": audience,
                "sub": str(subject),
                "client_id": str(subject),
                "iat": now,
                "exp": now + (lifetime_s or self.lifetime_s),
                "jti": str(new_id()),
                "scope": " ".join(sorted(scopes)),
                **claims,
            },
            key.private,
            algorithm=ALGORITHM,
            headers={"typ": "at+jwt", "kid": key.kid},
        )

    def _decode(self, token: str, audience: str) -> Principal:
        if len(token) > _MAX_LENGTH:
            raise InvalidToken
        try:
            if not _is_as_signed(token):
                raise InvalidToken
            header = jwt.get_unverified_header(token)
            # Nothing else is looked at, nor may it be there: a header that brings its own key, or names one elsewhere.
            if header.keys() != _HEADER or header["typ"] != "at+jwt":
                raise InvalidToken
            public = self.ring.verifying(header["kid"], time.time())
            if public is None:
                raise InvalidToken
            claims = jwt.decode(
                token,
                public,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=audience,
                leeway=_LEEWAY_S,
                options={"require": list(_CLAIMS[audience])},
            )
            return _principal(claims, audience)
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
            raise InvalidToken from error


def _is_as_signed(token: str) -> bool:
    """Tell whether the signature is written in the one way in which it is issued.

    Base64 has several for the same bytes, and PyJWT takes them all; what is remembered of a token, or refused, is
    known by its text.
    """
    signature = token.rpartition(".")[2]
    return token.isascii() and base64url_encode(base64url_decode(signature)).decode() == signature


def _principal(claims: dict[str, Any], audience: str) -> Principal:
    kind = claims["kind"]
    if kind not in _KINDS[audience]:
        raise ValueError("unknown kind of subject")
    if audience == AUDIENCE and (kind == "admin") != ("act" in claims):
        raise ValueError("only an admin acts in a tenant without being of it, and says so")
    if "act" in claims and (claims["act"] != {"sub": claims["sub"]} or "sid" not in claims):
        raise ValueError("it does not say who acts, or by which impersonation")
    if int(claims["exp"]) - int(claims["iat"]) > MAX_TOKEN_LIFE_S:
        raise ValueError("it would outlive the key that signed it")
    return Principal(
        kind=kind,
        subject=UUID(str(claims["sub"])),
        scopes=frozenset(str(claims["scope"]).split()),
        tenant_id=UUID(str(claims["tenant"])) if audience == AUDIENCE else None,
        expires_at=int(claims["exp"]),
        session_id=UUID(str(claims["sid"])) if "sid" in claims else None,
    )
