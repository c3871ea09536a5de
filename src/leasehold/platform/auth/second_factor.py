"""The second factor of an admin, in the row of their login. Each code works once (RFC 6238, section 5.2)."""

import secrets
from uuid import UUID

import msgspec

from leasehold.core.clock import utc_now
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
from leasehold.platform.auth.models import AdminLogin
from leasehold.tenancy.secrets import PlatformSecretColumn


class SecondFactor:
    """The second factor of one admin, whose login the transaction has locked."""

    def __init__(self, login: AdminLogin, key: InstallationKey) -> None:
        self._login = login
        self._key = key

    @property
    def is_confirmed(self) -> bool:
        """Whether its codes are asked for."""
        return self._login.totp_confirmed_at is not None

    def begin(self, *, account: str, issuer: str) -> NewTotp:
        """Return a fresh secret for the authenticator app; it is asked for once a first code has confirmed it.

        Raises:
            HasTotp: there is one that was confirmed.
        """
        if self.is_confirmed:
            raise HasTotp
        secret = new_totp_secret()
        self._login.totp_wrapped = self._key.wrap(secret, purpose=_totp_purpose(self._login.admin_id))
        self._login.totp_last_step = 0
        return NewTotp(totp_text(secret), totp_uri(secret, account=account, issuer=issuer))

    def confirm(self, code: str) -> NewRecoveryCodes:
        """Ask for codes from now on, and return recovery codes, shown this once.

        Raises:
            NoTotp: there is none that waits for its first code.
            WrongCode: the code is not the app's.
        """
        if self._login.totp_wrapped is None or self.is_confirmed:
            raise NoTotp
        if not self._accepts(code):
            raise WrongCode
        self._login.totp_confirmed_at = utc_now()
        return self.renew_recovery_codes()

    def renew_recovery_codes(self) -> NewRecoveryCodes:
        """Replace the recovery codes, and return the new ones, shown this once."""
        codes = new_recovery_codes()
        self._keep(list(map(plain_recovery_code, codes)))
        return NewRecoveryCodes(codes)

    def prove(self, code: str | None) -> Proof:
        """Say what a code proves; one that is right is used up, be it of the app or a recovery code."""
        if not self.is_confirmed:
            return "not_asked"
        if not code:
            return "missing"
        return "proved" if self._accepts(code) or self._uses_up(plain_recovery_code(code)) else "wrong"

    def remove(self) -> None:
        """Ask for no codes any more."""
        login = self._login
        login.totp_wrapped = login.totp_confirmed_at = login.recovery_wrapped = None

    def _accepts(self, code: str) -> bool:
        login = self._login
        if login.totp_wrapped is None:
            return False
        secret = self._key.unwrap(login.totp_wrapped, purpose=_totp_purpose(login.admin_id))
        step = accepted_step(secret, code, last_step=login.totp_last_step)
        if step is not None:
            login.totp_last_step = step
        return step is not None

    def _uses_up(self, code: str) -> bool:
        wrapped = self._login.recovery_wrapped
        if wrapped is None:
            return False
        kept = msgspec.json.decode(
            self._key.unwrap(wrapped, purpose=_recovery_purpose(self._login.admin_id)), type=list[str]
        )
        left = [one for one in kept if not secrets.compare_digest(one, code)]
        self._keep(left)
        return len(left) < len(kept)

    def _keep(self, codes: list[str]) -> None:
        # Wrapped, not digested: a digest would end with the installation key that its pepper is derived from.
        purpose = _recovery_purpose(self._login.admin_id)
        self._login.recovery_wrapped = self._key.wrap(msgspec.json.encode(codes), purpose=purpose)


def _totp_purpose(admin_id: UUID) -> str:
    return f"admin {admin_id} totp"


def _recovery_purpose(admin_id: UUID) -> str:
    return f"admin {admin_id} recovery codes"


ADMIN_SECRETS = (
    PlatformSecretColumn("admin_logins", "totp_wrapped", "admin_id", _totp_purpose),
    PlatformSecretColumn("admin_logins", "recovery_wrapped", "admin_id", _recovery_purpose),
)
"""Where the secrets of second factors stand, for the owner."""
