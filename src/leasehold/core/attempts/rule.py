"""How long who fails to prove something must wait: a rule, and the refusal. Whoever counts keeps the counts."""

from datetime import timedelta
from ipaddress import ip_address, ip_network

from leasehold.core.errors import Problem

FORGOTTEN_AFTER = timedelta(days=1)
"""Failures are forgotten when the last is so long ago."""
FREE_PER_ACCOUNT = 5
FREE_PER_ADDRESS = 30
_LONGEST = timedelta(minutes=15)
_IPV6_SITE_BITS = 64


class TooManyAttempts(Problem):
    """Too many attempts have failed; try again in {seconds} seconds."""

    status = 429
    type = "too-many-attempts"
    title = "Too many attempts"

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds=seconds, headers={"Retry-After": str(seconds)})


def wait_after(failures: int, *, free: int) -> timedelta:
    """Return how long to wait after so many failures: from `free` on a second, then twice as long, up to 15 minutes."""
    if failures < free:
        return timedelta(0)
    return min(timedelta(seconds=2.0 ** min(failures - free, 20)), _LONGEST)


def site_of(address: str) -> str:
    """Return whom an address is counted for: all addresses of one IPv6 site (a /64) are one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ip_network((parsed, _IPV6_SITE_BITS), strict=False))
