"""The installation key: wraps the secrets that are stored, and is the root of the keys that are derived."""

import base64
import os
from collections.abc import Sequence
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_PREFIX = "lhk_"
DEMO_PREFIX = "demo_"
_NONCE_BYTES = 12


class InvalidInstallationKey(ValueError):
    """LEASEHOLD_INSTALLATION_KEY must be `lhk_` and 32 bytes in base64url; `leasehold keys generate` makes one."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class UnwrapFailed(ValueError):
    """A stored secret cannot be unwrapped: it was wrapped by another installation key or for another purpose."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class InstallationKey:
    """Wraps and unwraps secrets (AES-256-GCM), derives keys (HKDF-SHA256, RFC 5869).

    While it is being replaced there are `others`, the next or the former one: what they have wrapped or derived is
    known too, but nothing new is made by them.
    """

    def __init__(self, text: str, *, others: Sequence[str] = ()) -> None:
        """Read the keys from their text form.

        Raises:
            InvalidInstallationKey: one of the texts is no key.
        """
        self.is_demo = text.startswith(DEMO_PREFIX)
        self._keys = tuple(map(_parsed, (text, *others)))

    @staticmethod
    def generate(*, demo: bool = False) -> str:
        """Return a fresh key in its text form; one marked `demo` is refused by `leasehold serve`."""
        encoded = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
        return (DEMO_PREFIX if demo else KEY_PREFIX) + encoded

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes that depend on the key and the purpose alone."""
        return self.derived(purpose)[0]

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """Return what `derive` does, and then the same of the other keys."""
        return tuple(
            HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(key) for key in self._keys
        )

    def wrap(self, secret: bytes, *, purpose: str) -> bytes:
        """Return nonce and ciphertext; only the same key and purpose can unwrap them."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._keys[0]).encrypt(nonce, secret, purpose.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """Return the secret that was wrapped for this purpose.

        Raises:
            UnwrapFailed: another key, another purpose, or altered bytes.
        """
        return self._unwrap(wrapped, purpose)[1]

    def rewrap(self, wrapped: bytes, *, purpose: str) -> bytes | None:
        """Return the same secret wrapped by the key itself, None if it is already.

        Raises:
            UnwrapFailed: as for `unwrap`.
        """
        place, secret = self._unwrap(wrapped, purpose)
        return self.wrap(secret, purpose=purpose) if place else None

    def _unwrap(self, wrapped: bytes, purpose: str) -> tuple[int, bytes]:
        for place, key in enumerate(self._keys):
            with suppress(InvalidTag, ValueError):
                return place, AESGCM(key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], purpose.encode())
        raise UnwrapFailed


def _parsed(text: str) -> bytes:
    encoded = text.removeprefix(DEMO_PREFIX if text.startswith(DEMO_PREFIX) else KEY_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise InvalidInstallationKey from error
    if len(key) != 32 or not text.startswith((KEY_PREFIX, DEMO_PREFIX)):
        raise InvalidInstallationKey
    return key
