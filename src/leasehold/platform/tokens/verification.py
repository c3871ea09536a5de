"""Verifies the tokens of admins, each time anew."""

import asyncio

from leasehold.core.database import Database, platform_session
from leasehold.core.errors import DatabaseUnavailable
from leasehold.core.principal import Principal
from leasehold.core.vault import InstallationKey
from leasehold.platform.tokens.service import AdminTokenService

_LOOKUPS_AT_ONCE = 2


class AdminTokens:
    """Tells for which admin a token speaks.

    They are looked up two at a time: anybody can make up a token that is well formed, and whoever sends many of them
    would take the connections of those who write in tenants.
    """

    def __init__(self, database: Database, key: InstallationKey, *, timeout_s: float) -> None:
        self._database = database
        self._key = key
        self._timeout_s = timeout_s
        self._lookups = asyncio.Semaphore(_LOOKUPS_AT_ONCE)

    async def verify(self, secret: str) -> Principal:
        """Return the admin whom a token speaks for.

        Raises:
            InvalidToken: malformed, unknown, expired, or its admin is disabled.
            DatabaseUnavailable: too many wait for their look-up, no connection can be had, or it was lost.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._lookups.acquire()
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        try:
            async with platform_session(self._database) as session:
                return await AdminTokenService(session, self._key).authenticate(secret)
        finally:
            self._lookups.release()
