"""Access tokens: signed JWTs of type `at+jwt` (RFC 9068), EdDSA alone (RFC 8037), one issuer per installation."""

import base64
import hashlib
import json
import time
from typing import Any, Literal
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leasehold.core.errors import InvalidToken
from leasehold.core.ids import new_id
from leasehold.core.principal import Principal

ALGORITHM = "EdDSA"
AUDIENCE = "leasehold:tenant-api"
_CLAIMS = ("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "tenant", "kind")
_MAX_LENGTH = 4096
_REMEMBERED = 10_000


class AccessTokens:
    """Issues access tokens and verifies them. A verified one is remembered until it expires, at most 10,000 of them."""

    def __init__(self, *, seed: bytes, issuer: str, lifetime_s: int) -> None:
        self.lifetime_s = lifetime_s
        self._issuer = issuer
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._private.public_key()
        self._kid = _thumbprint(self._public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        self._verified: dict[str, Principal] = {}

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
        """
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": str(subject),
            "client_id": str(subject),
            "iat": now,
            "exp": now + self.lifetime_s,
            "jti": str(new_id()),
            "scope": " ".join(sorted(scopes)),
            "tenant": str(tenant_id),
            "kind": kind,
        }
        if session_id is not None:
            claims["sid"] = str(session_id)
        return jwt.encode(claims, self._private, algorithm=ALGORITHM, headers={"typ": "at+jwt", "kid": self._kid})

    def verify(self, token: str) -> Principal:
        """Return whom a token speaks for.

        Raises:
            InvalidToken: malformed, expired, of another issuer, audience or type, or wrongly signed.
        """
        principal = self._verified.get(token)
        if principal is None:
            principal = self._decode(token)
            if len(self._verified) >= _REMEMBERED:
                self._verified.pop(next(iter(self._verified)))
            self._verified[token] = principal
        if principal.expires_at <= time.time():
            self._verified.pop(token, None)
            raise InvalidToken
        return principal

    def _decode(self, token: str) -> Principal:
        if len(token) > _MAX_LENGTH:
            raise InvalidToken
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != "at+jwt" or header.get("kid") != self._kid:
                raise InvalidToken
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=AUDIENCE,
                options={"require": list(_CLAIMS)},
            )
            return _principal(claims)
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise InvalidToken from error


def _principal(claims: dict[str, Any]) -> Principal:
    kind = claims["kind"]
    if kind not in {"user", "client"}:
        raise ValueError("unknown kind of subject")
    return Principal(
        kind=kind,
        subject=UUID(str(claims["sub"])),
        scopes=frozenset(str(claims["scope"]).split()),
        tenant_id=UUID(str(claims["tenant"])),
        expires_at=int(claims["exp"]),
        session_id=UUID(str(claims["sid"])) if "sid" in claims else None,
    )


def _thumbprint(public: bytes) -> str:
    """Return the key id of an Ed25519 key: its JWK thumbprint (RFC 7638, RFC 8037 appendix A.3)."""
    x = base64.urlsafe_b64encode(public).decode().rstrip("=")
    canonical = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")
