"""Passwords: argon2id in threads, with a bound on how many are computed at once."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH = 8
MAX_LENGTH = 128


class Passwords:
    """Hashes and verifies off the event loop; each hash takes tens of milliseconds and megabytes of memory."""

    def __init__(self, *, concurrency: int, memory_kib: int, iterations: int) -> None:
        self._hasher = PasswordHasher(memory_cost=memory_kib, time_cost=iterations, parallelism=1)
        self._threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="argon2")
        self._decoy = self._hasher.hash(secrets.token_urlsafe())

    def close(self) -> None:
        """End the threads; hashes that wait are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Return the encoded argon2id hash of a password."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Tell whether the password has this hash; for None it takes the same time and says no."""
        verified = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, password, self._decoy if encoded is None else encoded
        )
        return verified and encoded is not None

    def _verify(self, password: str, encoded: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False
