"""Where the keys that sign access tokens are kept, wrapped by the installation key, and how a process follows them.

Of a key nothing is stored but its wrapped private half: whoever may write the table but has not the installation key
cannot add a key that anybody would accept.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.database import DriverConnection
from leasehold.core.models import Identified, PlatformModel
from leasehold.core.signing import KeyRing, SigningKey
from leasehold.core.vault import InstallationKey, UnwrapFailed
from leasehold.tenancy.registry import CHANNEL

# Not md5: PostgreSQL refuses it where only what FIPS 140 allows may be used.
KEYS_VERSION = """
(SELECT sha256(convert_to(string_agg(k::text, ',' ORDER BY k.id), 'UTF8')) FROM platform.signing_keys k)
"""
"""An expression that changes with every change of the keys, whoever makes it."""

_KEYS = "SELECT id, kid, wrapped, activates_at FROM platform.signing_keys"

_log = structlog.get_logger(__name__)


class WrongInstallationKey(RuntimeError):
    """LEASEHOLD_INSTALLATION_KEY is not this installation's: it does not open the signing keys in the database."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class StoredSigningKey(Identified, PlatformModel):
    """A key pair that signs access tokens from `activates_at` until the next one does."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(unique=True)
    wrapped: Mapped[bytes]
    """The private key, wrapped by the installation key."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    activates_at: Mapped[datetime]


class SigningKeyWatch:
    """Hands the keys of the installation to a process, at start and whenever they have changed."""

    def __init__(self, key: InstallationKey, use: Callable[[KeyRing], object]) -> None:
        self._key = key
        self._use = use
        self._version: bytes | None = None
        self._known: dict[UUID, SigningKey] | None = None

    async def follow(self, connection: DriverConnection, version: bytes | None) -> None:
        """Read the keys again unless `version` is what was read last.

        Raises:
            WrongInstallationKey: they are read for the first time, and one of them cannot be unwrapped.
        """
        if version is not None and version == self._version:
            return
        keys = {row["id"]: self._open(row) for row in await connection.fetch(_KEYS)}
        self._known = {key_id: key for key_id, key in keys.items() if key is not None}
        self._version = version
        if not self._known:
            _log.error("signing_keys_missing")
        self._use(KeyRing(self._known.values()))

    def _open(self, row: Any) -> SigningKey | None:
        try:
            seed = self._key.unwrap(row["wrapped"], purpose=signing_key_purpose(row["id"]))
        except UnwrapFailed as error:
            if self._known is None:
                raise WrongInstallationKey from error
            # It was wrapped by a key that this process was not told of. It goes on with what it knows.
            _log.error("signing_key_unreadable", kid=row["kid"], is_known=row["id"] in self._known)
            return self._known.get(row["id"])
        return SigningKey.from_seed(seed, signs_from=row["activates_at"].timestamp())


def signing_key_purpose(key_id: UUID) -> str:
    """Return for what a signing key is wrapped."""
    return f"signing key {key_id}"


async def announce_keys(session: AsyncSession) -> None:
    """Wake all who follow the keys, once the transaction of `session` has committed."""
    await session.execute(select(func.pg_notify(CHANNEL, "")))
