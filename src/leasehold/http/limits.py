"""Rate limits: holds a request to the quotas of its tenant and its client, as soon as it is known who sends it.

For access tokens, and keys that the process remembers, that is before anything is opened. Another key, or the token of
an admin, is looked up first: look-ups that find nothing are taken out of a quota of their address, and where that is
used up, nothing is looked up.

Requests to what hands out credentials are held to a quota of their address alone. They do not count against the
tenant's, or a stranger could use that up.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Hashable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, cast

from litestar.types import Scope

from leasehold.config import networks_of, windows_of
from leasehold.core.attempts.rule import site_of
from leasehold.core.errors import InvalidToken
from leasehold.core.principal import Principal
from leasehold.core.quotas.limits import Limits, Policy, QuotaExceeded, Window
from leasehold.core.quotas.shared import SharedQuotas
from leasehold.http.address import client_address
from leasehold.http.request_log import LIMITS_TOLD
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.entitlements import Rates

REFUSED_AFTER_S = 0.1
"""For so long a request over its rate has to wait for its refusal."""

_PLATFORM = 0
_LOOK_UPS = "look-ups"
_KINDS_OF_RATES = 4096


class RequestLimits:
    """Holds requests to their limits. Where another process is asked, and for a refusal, there is what to wait for."""

    def __init__(self, process: Process) -> None:
        settings = process.settings
        self._trusted_proxies = networks_of(settings.trusted_proxies)
        self._quotas = process.quotas
        self._shared = process.shared_quotas
        client = Policy("client", _windows(settings.rate_limit_client))
        self._settings = settings
        self._of_tenants = Limits(client, Policy("tenant", _windows(settings.rate_limit_tenant)))
        # Tenants with the same rates share them: what was refused is remembered by the object.
        self._of_rates = lru_cache(_KINDS_OF_RATES)(self._limits_for)
        self._of_admins = Limits(client)
        self._of_addresses = Limits(Policy("address", _windows(settings.rate_limit_address)))

    def __deepcopy__(self, _memo: object) -> "RequestLimits":
        """Return itself, as the process does: quotas are told apart by whose policy they are."""
        return self

    def limits_of(self, tenant: TenantRef) -> Limits:
        """Return what the clients of a tenant are held to: what its plan says, else the settings."""
        rates = tenant.entitlements.rates
        return self._of_tenants if rates is None else self._of_rates(rates)

    def hold_client(self, scope: Scope, tenant: TenantRef, principal: Principal) -> Awaitable[None] | None:
        """Take a request out of the quotas of its client and its tenant, and return what to wait for, if anything.

        Raises, when it is waited for:
            QuotaExceeded: one of them has no room; then the request uses none.
        """
        # With the tenant's id, for users keep theirs where a tenant is copied. Integers are hashed fastest.
        tenant_id = tenant.id.int
        limits = self.limits_of(tenant)
        return self._hold(scope, limits, ((tenant_id, principal.subject.int), tenant_id))

    def hold_admin(self, scope: Scope, principal: Principal) -> Awaitable[None] | None:
        """Take a request out of the quota of an admin, and return what to wait for, if anything.

        Raises, when it is waited for:
            QuotaExceeded: it has no room.
        """
        return self._hold(scope, self._of_admins, ((_PLATFORM, principal.subject.int),))

    def hold_address(self, scope: Scope, tenant: TenantRef | None) -> Awaitable[None] | None:
        """Take a request for credentials of a tenant, or of the platform, out of the quota of its address.

        Return what to wait for, if anything.

        Raises, when it is waited for:
            QuotaExceeded: it has no room.
        """
        return self._hold(scope, self._of_addresses, (self._site(scope, tenant),))

    @asynccontextmanager
    async def hold_failures(self, scope: Scope, tenant: TenantRef | None) -> AsyncGenerator[None]:
        """Let a credential of a tenant, or of the platform, be looked up in a block, and count it if that finds none.

        It is counted by address, apart from requests for credentials: a script whose key was revoked keeps nobody from
        logging in.

        Raises:
            QuotaExceeded: too many of its address were none; then nothing is looked up.
            InvalidToken: this one is none.
        """
        limits, keys = self._of_addresses, ((*self._site(scope, tenant), _LOOK_UPS),)
        await self._demand_room(scope, limits, keys)
        try:
            yield
        except InvalidToken:
            shared = self._hold(scope, limits, keys)
            if shared is not None:
                await shared
            raise

    def _site(self, scope: Scope, tenant: TenantRef | None) -> tuple[Hashable, ...]:
        site = site_of(client_address(scope, trusted=self._trusted_proxies))
        return (tenant.id.int if tenant else _PLATFORM, site)

    def _limits_for(self, rates: Rates) -> Limits:
        client = self._settings.rate_limit_client if rates.client is None else rates.client
        tenant = self._settings.rate_limit_tenant if rates.tenant is None else rates.tenant
        return Limits(Policy("client", _windows(client)), Policy("tenant", _windows(tenant)))

    async def _demand_room(self, scope: Scope, limits: Limits, keys: tuple[Hashable, ...]) -> None:
        """Pass if quotas have room, as far as the process knows, and take nothing out of them."""
        now = time.monotonic_ns()
        if not limits.rates:
            return
        if self._shared is not None:
            refused, now = self._shared.refused(limits, keys, now), 0
        else:
            refused = self._quotas.refused(limits, keys, now)
        if refused is not None:
            _tell(scope, limits, refused, now)
            await _refuse(limits.refusal(refused, now))

    def _hold(self, scope: Scope, limits: Limits, keys: tuple[Hashable, ...]) -> Awaitable[None] | None:
        if not limits.rates:
            return None
        if self._shared is not None:
            return self._hold_shared(self._shared, scope, limits, keys)
        now = time.monotonic_ns()
        granted, whole_at = self._quotas.take(limits, keys, now)
        _tell(scope, limits, whole_at, now)
        return None if granted else _refuse(limits.refusal(whole_at, now))

    async def _hold_shared(
        self, shared: SharedQuotas, scope: Scope, limits: Limits, keys: tuple[Hashable, ...]
    ) -> None:
        granted, ahead = await shared.take(limits, keys)
        _tell(scope, limits, ahead, 0)
        if not granted:
            await _refuse(limits.refusal(ahead))


async def _refuse(refusal: QuotaExceeded) -> None:
    """Raise a refusal after a while: who asks again at once would take the processor from the others."""
    await asyncio.sleep(REFUSED_AFTER_S)
    raise refusal


def _tell(scope: Scope, limits: Limits, whole_at: Sequence[int], now: int) -> None:
    """Leave the headers for whoever answers the request, be it an error."""
    cast("dict[str, Any]", scope)[LIMITS_TOLD] = (
        (b"ratelimit-policy", limits.policy_header),
        (b"ratelimit", limits.header(whole_at, now)),
    )


def _windows(text: str) -> tuple[Window, ...]:
    return tuple(Window(requests, seconds) for requests, seconds in windows_of(text))
