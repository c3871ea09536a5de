"""The key of an archive, which follows from a passphrase: it wraps the tenant's secrets and seals the manifest."""

import hashlib
import hmac
import os
import unicodedata

from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from leasehold.tenancy.archive.manifest import KeyDerivation
from leasehold.tenancy.archive.refusals import Damaged, WeakPassphrase, WrongPassphrase

MIN_LENGTH = 12
_NONCE_BYTES = 12
_MEMORY_KIB = 64 * 1024
_ITERATIONS = 3
# What an archive of somebody else may ask of us: a gigabyte and some seconds.
_MOST_MEMORY_KIB = 1024 * 1024
_MOST_ITERATIONS = 16


class ArchiveKey:
    """Wraps secrets and seals manifests. One key may serve many archives, which then have one salt."""

    def __init__(self, passphrase: str, derivation: KeyDerivation) -> None:
        """Derive the key; it takes a tenth of a second and 64 MiB, so not on an event loop that serves others."""
        root = _root(passphrase, derivation)
        self._wrapping, self._nonces, self._sealing, check = (
            HKDFExpand(algorithm=SHA256(), length=32, info=purpose).derive(root)
            for purpose in (b"archive wrap", b"archive nonce", b"archive seal", b"archive check")
        )
        self.derivation = KeyDerivation(
            derivation.salt, derivation.memory_kib, derivation.iterations, check=check.hex()[:32]
        )

    @classmethod
    def new(cls, passphrase: str) -> "ArchiveKey":
        """Return the key of a new archive.

        Raises:
            WeakPassphrase: it is too short.
        """
        if len(passphrase) < MIN_LENGTH:
            raise WeakPassphrase(least=MIN_LENGTH)
        return cls(passphrase, KeyDerivation(os.urandom(16).hex(), _MEMORY_KIB, _ITERATIONS, check=""))

    @classmethod
    def of(cls, passphrase: str, derivation: KeyDerivation) -> "ArchiveKey":
        """Return the key of an archive that is there.

        Raises:
            WrongPassphrase: it is another one's.
            Damaged: nobody derives keys like this.
        """
        if not (8 <= derivation.memory_kib <= _MOST_MEMORY_KIB and 1 <= derivation.iterations <= _MOST_ITERATIONS):
            raise Damaged(reason="its key is derived in no way that we know")
        try:
            key = cls(passphrase, derivation)
        except (ValueError, HashingError) as error:
            raise Damaged(reason="its salt is none") from error
        if not hmac.compare_digest(key.derivation.check.encode(), derivation.check.encode(errors="replace")):
            raise WrongPassphrase
        return key

    def wrap(self, secret: bytes, *, purpose: str) -> bytes:
        """Return nonce and ciphertext (AES-256-GCM), the same ones each time.

        The nonce follows from secret and purpose, so it is never used for two different texts, and what was imported
        can be compared with what was exported.
        """
        nonce = self._mac(self._nonces, purpose.encode() + b"\0" + secret)[:_NONCE_BYTES]
        return nonce + AESGCM(self._wrapping).encrypt(nonce, secret, purpose.encode())

    def unwrap(self, wrapped: bytes, *, purpose: str) -> bytes:
        """Return the secret that was wrapped for this purpose.

        Raises:
            Damaged: it was wrapped by another key or for another purpose.
        """
        try:
            nonce, text = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
            return AESGCM(self._wrapping).decrypt(nonce, text, purpose.encode())
        except (InvalidTag, ValueError) as error:
            raise Damaged(reason="a secret in it does not open") from error

    def seal(self, manifest: bytes) -> str:
        """Return the seal of a manifest, in hexadecimal digits."""
        return self._mac(self._sealing, manifest).hex()

    def demand_seal(self, manifest: bytes, mac: str) -> None:
        """Pass if the manifest is as it was sealed.

        Raises:
            Damaged: it is not.
        """
        if not hmac.compare_digest(self.seal(manifest).encode(), mac.encode(errors="replace")):
            raise Damaged(reason="its manifest is not as it was sealed")

    @staticmethod
    def _mac(key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, hashlib.sha256).digest()


def _root(passphrase: str, derivation: KeyDerivation) -> bytes:
    return hash_secret_raw(
        # Two keyboards may write one letter in two ways.
        unicodedata.normalize("NFKC", passphrase).encode(),
        bytes.fromhex(derivation.salt),
        time_cost=derivation.iterations,
        memory_cost=derivation.memory_kib,
        parallelism=1,
        hash_len=32,
        type=Type.ID,
    )
