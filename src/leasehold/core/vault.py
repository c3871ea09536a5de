"""The installation key: wraps the secrets that are stored, and is the root of the keys that are derived."""

import base64
import os

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
    """Wraps and unwraps secrets (AES-256-GCM), derives keys (HKDF-SHA256, RFC 5869)."""

    def __init__(self, text: str) -> None:
        """Read the key from its text form.

        Raises:
            InvalidInstallationKey: the text is no key.
        """
        self.is_demo = text.startswith(DEMO_PREFIX)
        encoded = text.removeprefix(DEMO_PREFIX if self.is_demo else KEY_PREFIX)
        try:
            self._key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        except ValueError as error:
            raise InvalidInstallationKey from error
        if len(self._key) != 32 or not text.startswith((KEY_PREFIX, DEMO_PREFIX)):
            raise InvalidInstallationKey

    @staticmethod
    def generate(*, demo: bool = False) -> str:
        """Return a fresh key in its text form; one marked `demo` is refused by `leasehold serve`."""
        encoded = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
        return (DEMO_PREFIX if demo else KEY_PREFIX) + encoded

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes that depend on the key and the purpose alone."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(self._key)

    def wrap(self, secret: bytes, *, purpose: str) -> bytes:
        """Return nonce and ciphertext; only the same key and purpose can unwrap them."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, secret, purpose.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """Return the secret that was wrapped for this purpose.

        Raises:
            UnwrapFailed: another key, another purpose, or altered bytes.
        """
        try:
            return AESGCM(self._key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise UnwrapFailed from error
