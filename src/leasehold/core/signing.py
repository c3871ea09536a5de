"""The keys that sign access tokens (Ed25519, RFC 8037), and what each of them is at a given time.

A key is published before it signs, signs until the next one does, and is retired then: it still verifies for as long
as a token that it signed can live. All of this follows from the times at which keys begin to sign, so nothing has to
happen at the moment itself, and every process comes to the same answer.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leasehold.core.errors import Unavailable

ALGORITHM = "EdDSA"
MAX_TOKEN_LIFE_S = 900
"""No access token lives longer, whatever the settings of whoever issued it."""
RETIRED_S = MAX_TOKEN_LIFE_S + 60
"""For how long a retired key still verifies: a token's life, and a minute for clocks that differ."""

KeyState = Literal["published", "signing", "retired", "gone"]


class NoSigningKey(Unavailable):
    """There is no key to sign tokens with."""

    type = "no-signing-key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair, and the time (seconds since the epoch) from which on it signs."""

    kid: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey
    signs_from: float

    @classmethod
    def from_seed(cls, seed: bytes, *, signs_from: float) -> "SigningKey":
        """Return the key pair of a private key's 32 bytes; its id is its thumbprint (RFC 7638)."""
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = private.public_key()
        canonical = json.dumps(_public_members(public), separators=(",", ":"), sort_keys=True)
        return cls(_base64url(hashlib.sha256(canonical.encode()).digest()), private, public, signs_from)

    def jwk(self) -> dict[str, str]:
        """Return the public key as a JSON Web Key (RFC 8037, section 2)."""
        return {**_public_members(self.public), "kid": self.kid, "use": "sig", "alg": ALGORITHM}


class KeyRing:
    """All keys of an installation that are not gone; a value that is never changed, only replaced."""

    def __init__(self, keys: Iterable[SigningKey] = ()) -> None:
        self._keys = tuple(sorted(keys, key=lambda key: key.signs_from))
        self._until = {key.kid: later.signs_from + RETIRED_S for key, later in pairwise(self._keys)}
        self._by_kid = {key.kid: key for key in self._keys}

    @property
    def kids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._by_kid)

    def signing(self, now: float) -> SigningKey:
        """Return the one key that signs at a time.

        Raises:
            NoSigningKey: there is none.
        """
        if not self._keys:
            raise NoSigningKey
        started = [key for key in self._keys if key.signs_from <= now]
        # A clock that is behind may not have seen the first key begin yet.
        return started[-1] if started else self._keys[0]

    def verifying(self, kid: object, now: float) -> Ed25519PublicKey | None:
        """Return the key of this id, if tokens that it signed are accepted at a time.

        One that does not sign yet is accepted, too: it does already where a clock is ahead.
        """
        key = self._by_kid.get(kid) if isinstance(kid, str) else None
        return key.public if key and self._until.get(key.kid, now) >= now else None

    def published(self, now: float) -> list[SigningKey]:
        """Return the keys whose tokens are accepted at a time, in the order in which they sign."""
        return [key for key in self._keys if self.verifying(key.kid, now)]


def key_state(*, signs_from: float, next_signs_from: float | None, now: float) -> KeyState:
    """Tell what a key is at a time, by when it begins to sign and when the next one does."""
    if next_signs_from is None or now < next_signs_from:
        return "signing" if signs_from <= now else "published"
    return "retired" if now <= next_signs_from + RETIRED_S else "gone"


def _public_members(public: Ed25519PublicKey) -> dict[str, str]:
    """Return the members of a public key that its thumbprint is taken over (RFC 8037, appendix A.3)."""
    return {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
