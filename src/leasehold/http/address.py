"""Who asks and by which scheme, seen through the proxies that the operator trusts and no others."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from litestar.types import Scope

Network = IPv4Network | IPv6Network
_SCHEMES = frozenset({"http", "https"})
UNKNOWN = "unknown"
"""What stands for an address where there is none, as behind a Unix socket."""


def client_address(scope: Scope, *, trusted: Collection[Network]) -> str:
    """Return the address that asked the outermost trusted proxy; without one, that of the connection.

    Each proxy appends to X-Forwarded-For whom it was asked by. So the list is read from its end, as long as who says
    it is trusted: what stands before was written by the client.
    """
    client = scope["client"]
    address = _plain(client[0]) or client[0] if client else UNKNOWN
    forwarded = [
        part.strip()
        for name, value in scope["headers"]
        if name == b"x-forwarded-for"
        for part in value.decode("latin-1").split(",")
    ]
    while forwarded and _is_trusted(address, trusted):
        nearer = _plain(forwarded.pop())
        if nearer is None:
            break
        address = nearer
    return address


def forwarded_scheme(scope: Scope, *, trusted: Collection[Network]) -> str | None:
    """Return `https` or `http`, by which a client asked a trusted proxy, None where none says so.

    Of several values in X-Forwarded-Proto the last is that of the proxy which is trusted.
    """
    client = scope["client"]
    if not client or not _is_trusted(client[0], trusted):
        return None
    said = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
    scheme = said[-1].decode("latin-1").rpartition(",")[2].strip().lower() if said else ""
    return scheme if scheme in _SCHEMES else None


def _is_trusted(address: str, trusted: Collection[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _plain(text: str) -> str | None:
    """Return an address in the one way in which it is counted, None for what is none."""
    parsed = _parsed(text)
    return None if parsed is None else str(parsed)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text names, None where it names none.

    A socket that hears both families shows an IPv4 address inside of an IPv6 one (RFC 4291, section 2.5.5.2). Those are
    all of one /64, and would be one client.
    """
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed
