"""What can be done with the second factor of a user. Each code of the authenticator app works once (RFC 6238, 5.2)."""

from collections.abc import Sequence
from uuid import UUID

from leasehold.core.clock import utc_now
from leasehold.core.credentials import secret_digests
from leasehold.core.login.refusals import HasTotp, NoTotp, Proof, WrongCode
from leasehold.core.login.schemas import NewRecoveryCodes, NewTotp
from leasehold.core.totp import (
    accepted_step,
    new_recovery_codes,
    new_totp_secret,
    plain_recovery_code,
    totp_text,
    totp_uri,
)
from leasehold.core.vault import InstallationKey
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.secrets import SecretColumn
from leasehold.workspace.factors.models import RecoveryCode, Totp
from leasehold.workspace.factors.repository import RecoveryCodeRepository, TotpRepository


class FactorService:
    """The second factors of the bound tenant's users, for one unit of work."""

    def __init__(self, session: TenantSession, *, key: InstallationKey, peppers: Sequence[bytes]) -> None:
        self._totp = TotpRepository(session=session)
        self._recovery_codes = RecoveryCodeRepository(session=session)
        self._key = key
        self._peppers = peppers

    async def begin(self, user_id: UUID, *, account: str, issuer: str) -> NewTotp:
        """Return a fresh secret for the authenticator app; it is asked for once a first code has confirmed it.

        Raises:
            HasTotp: the user has one that was confirmed.
        """
        former = await self._totp.locked(user_id)
        if former is not None and former.confirmed_at is not None:
            raise HasTotp
        if former is not None:
            await self._totp.delete(former.id)
        secret = new_totp_secret()
        wrapped = self._key.wrap(secret, purpose=_purpose(user_id))
        await self._totp.add(Totp(user_id=user_id, wrapped=wrapped, last_step=0))
        return NewTotp(totp_text(secret), totp_uri(secret, account=account, issuer=issuer))

    async def confirm(self, user_id: UUID, code: str) -> NewRecoveryCodes:
        """Ask for the second factor from now on, and return recovery codes, shown this once.

        Raises:
            NoTotp: there is none that waits for its first code.
            WrongCode: the code is not the app's.
        """
        totp = await self._totp.locked(user_id)
        if totp is None or totp.confirmed_at is not None:
            raise NoTotp
        if not self._accept(totp, code):
            raise WrongCode
        totp.confirmed_at = utc_now()
        return await self.renew_recovery_codes(user_id)

    async def renew_recovery_codes(self, user_id: UUID) -> NewRecoveryCodes:
        """Replace the recovery codes of a user, and return the new ones, shown this once."""
        await self._recovery_codes.delete_all_of(user_id)
        codes = new_recovery_codes()
        rows = [RecoveryCode(user_id=user_id, digest=self._digests(user_id, code)[0]) for code in codes]
        await self._recovery_codes.add_many(rows)
        return NewRecoveryCodes(codes)

    async def prove(self, user_id: UUID, code: str | None) -> Proof:
        """Say what a code proves; one that is right is used up, be it of the app or a recovery code."""
        totp = await self._totp.locked(user_id)
        if totp is None or totp.confirmed_at is None:
            return "not_asked"
        if not code:
            return "missing"
        if self._accept(totp, code):
            return "proved"
        return "proved" if await self._recovery_codes.use(user_id, self._digests(user_id, code)) else "wrong"

    async def remove(self, user_id: UUID) -> bool:
        """Ask for no second factor any more, and say whether there was one."""
        totp = await self._totp.locked(user_id)
        if totp is None:
            return False
        await self._totp.delete(totp.id)
        await self._recovery_codes.delete_all_of(user_id)
        return True

    def _accept(self, totp: Totp, code: str) -> bool:
        secret = self._key.unwrap(totp.wrapped, purpose=_purpose(totp.user_id))
        step = accepted_step(secret, code, last_step=totp.last_step)
        if step is not None:
            totp.last_step = step
        return step is not None

    def _digests(self, user_id: UUID, code: str) -> list[bytes]:
        return secret_digests(f"{user_id} {plain_recovery_code(code)}", peppers=self._peppers)


def _purpose(user_id: UUID) -> str:
    return f"user {user_id} totp"


TOTP_SECRETS = SecretColumn(
    table="totp", column="wrapped", name="user_id", purpose=lambda _tenant_id, user_id: _purpose(UUID(user_id))
)
"""Where the secrets of second factors stand, for the owner."""
