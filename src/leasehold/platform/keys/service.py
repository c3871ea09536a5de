"""What can be done with signing keys. What a key is follows from the times in the table; see `core.signing`."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from leasehold.core.database import PlatformSession
from leasehold.core.ids import new_id
from leasehold.core.signing import KeyState, SigningKey, key_state
from leasehold.core.vault import InstallationKey, UnwrapFailed
from leasehold.platform.keys import schemas
from leasehold.platform.keys.repository import SigningKeyRepository
from leasehold.tenancy.signing import StoredSigningKey, WrongInstallationKey, announce_keys, signing_key_purpose

JWKS_MAX_AGE_S = 300
"""For how long others may keep the list of public keys."""
OVERLAP_S = 3 * JWKS_MAX_AGE_S
"""For how long a key is published before it signs, so that nobody meets a token whose key they have not seen."""


class KeyService:
    """The signing keys of the installation, for one unit of work."""

    def __init__(self, session: PlatformSession, key: InstallationKey) -> None:
        self._session = session
        self._keys = SigningKeyRepository(session=session)
        self._key = key

    async def ensure_first(self) -> None:
        """Make the first key if there is none; of many processes that start at once, one does.

        Raises:
            WrongInstallationKey: there are keys, and they were wrapped by another installation key.
        """
        found = await self._keys.in_order()
        if not found:
            now = await self._keys.lock()
            found = await self._keys.in_order() or [await self._add(now, signs_from=now)]
        for row in found:
            try:
                self._key.unwrap(row.wrapped, purpose=signing_key_purpose(row.id))
            except UnwrapFailed as error:
                raise WrongInstallationKey from error

    async def all(self) -> list[schemas.SigningKey]:
        """Return all keys in the order in which they sign."""
        return _described(await self._keys.in_order(), await self._keys.now())

    async def rotate(self, *, overlap_s: int = OVERLAP_S) -> schemas.Rotation:
        """Publish the next key, which signs after `overlap_s` seconds; one that is published already stays the next."""
        now = await self._keys.lock()
        await self._keys.forget_gone()
        last = _described(await self._keys.in_order(), now)[-1:]
        if last and last[0].state == "published":
            return schemas.Rotation(last[0], is_new=False)
        added = await self._add(now, signs_from=now + timedelta(seconds=overlap_s))
        return schemas.Rotation(_described([added], now)[0], is_new=True)

    async def replace(self) -> schemas.Rotation:
        """Sign by a new key from now on, and accept no token that another has signed."""
        now = await self._keys.lock()
        await self._keys.forget_all()
        added = await self._add(now, signs_from=now)
        return schemas.Rotation(_described([added], now)[0], is_new=True)

    async def _add(self, now: datetime, *, signs_from: datetime) -> StoredSigningKey:
        key_id, seed = new_id(), os.urandom(32)
        kid = SigningKey.from_seed(seed, signs_from=signs_from.timestamp()).kid
        wrapped = self._key.wrap(seed, purpose=signing_key_purpose(key_id))
        row = StoredSigningKey(id=key_id, kid=kid, wrapped=wrapped, created_at=now, activates_at=signs_from)
        await self._keys.add(row)
        await announce_keys(self._session)
        return row


def _described(rows: Sequence[StoredSigningKey], now: datetime) -> list[schemas.SigningKey]:
    later: list[datetime | None] = [*(row.activates_at for row in rows[1:]), None]
    return [
        schemas.SigningKey(row.kid, _state(row, until, now), row.created_at, row.activates_at, until)
        for row, until in zip(rows, later, strict=False)
    ]


def _state(row: StoredSigningKey, until: datetime | None, now: datetime) -> KeyState:
    return key_state(
        signs_from=row.activates_at.timestamp(),
        next_signs_from=until.timestamp() if until else None,
        now=now.timestamp(),
    )
