"""Passwords: argon2id in threads, with a bound on how many are computed at once."""

import asyncio
import re
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from leasehold.core.errors import FieldError, Invalid

MIN_LENGTH = 8
MAX_LENGTH = 128
_PRODUCT = "leasehold"
"""The name of the product, which is yours to change."""

_LEAST_BESIDE = 7
"""So many characters a password has at least beside the names in it."""

_SHORTEST_WORD = 3


class CommonPassword(Invalid):
    """The password is one of those that are guessed first."""

    type = "common-password"
    title = "Common password"

    def __init__(self, fault: str = "is among the most common passwords", *, pointer: str) -> None:
        super().__init__(errors=[FieldError(pointer, fault)])


class Passwords:
    """Hashes and verifies off the event loop; each hash takes tens of milliseconds and megabytes of memory."""

    def __init__(self, *, concurrency: int, memory_kib: int, iterations: int) -> None:
        self._hasher = PasswordHasher(memory_cost=memory_kib, time_cost=iterations, parallelism=1)
        self._threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="argon2")
        self._decoy = self._hasher.hash(secrets.token_urlsafe())
        self._common = frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= MIN_LENGTH)

    def close(self) -> None:
        """End the threads; hashes that wait are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Return the encoded argon2id hash of a password."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def hash_new(self, password: str, *, about: Iterable[str], pointer: str = "/password") -> str:
        """Return the hash of a password that somebody has chosen, in the field to which `pointer` points.

        Raises:
            CommonPassword: see `demand_uncommon`.
        """
        self.demand_uncommon(password, about=about, pointer=pointer)
        return await self.hash(password)

    def demand_uncommon(self, password: str, *, about: Iterable[str], pointer: str = "/password") -> None:
        """Pass unless a password is one that is guessed first.

        `about` is what everybody knows who guesses: the names of the person and of the tenant, an address.

        Raises:
            CommonPassword: it is among the most common ones, or little more than such a name.
        """
        rest = password.lower()
        if rest in self._common:
            raise CommonPassword(pointer=pointer)
        for word in sorted({_PRODUCT, *_words(about)}, key=len, reverse=True):
            rest = rest.replace(word, "")
        if len(rest) < min(_LEAST_BESIDE, len(password)):
            raise CommonPassword("is little more than a name", pointer=pointer)

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Tell whether the password has this hash; for None it takes the same time and says no."""
        verified = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, password, self._decoy if encoded is None else encoded
        )
        return verified and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Tell whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(encoded)

    def _verify(self, password: str, encoded: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False


def _words(names: Iterable[str]) -> set[str]:
    """Return names and their parts, in small letters."""
    whole = [name.lower() for name in names]
    parts = [part for name in whole for part in re.split(r"[\W_]+", name)]
    return {word for word in (*whole, *parts) if len(word) >= _SHORTEST_WORD}
