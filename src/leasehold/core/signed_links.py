"""Links that anybody may follow who has them: to one address of one tenant, until a time."""

import base64
import hashlib
import hmac
import time
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from leasehold.core.errors import Forbidden

_FIELDS = ("tenant", "expires", "signature")


class InvalidLink(Forbidden):
    """The link is not complete, was altered, or its time is over; ask for a new one."""

    type = "invalid-link"
    title = "Invalid link"


class SignedLinks:
    """Makes and reads links that are signed (HMAC-SHA256) over their tenant, their address and their end."""

    def __init__(self, base_url: str, *keys: bytes) -> None:
        """Take the URL of the installation and the keys: the first signs, all are accepted."""
        self._base_url = base_url
        self._keys = keys

    def to(self, path: str, *, tenant_id: UUID, expires_at: int) -> str:
        """Return a link to a path, good until a time in seconds since the epoch."""
        signature = _signature(self._keys[0], path, tenant_id, expires_at)
        query = urlencode(dict(zip(_FIELDS, (tenant_id, expires_at, signature), strict=True)))
        return f"{self._base_url}{path}?{query}"

    def tenant_of(self, path: str, query: str) -> UUID:
        """Return the tenant of a link, by the path and the query of a request.

        Raises:
            InvalidLink: it was not made here for this path, or its time is over.
        """
        pairs = parse_qsl(query, keep_blank_values=True)
        named = dict(pairs)
        if len(pairs) != len(_FIELDS) or set(named) != set(_FIELDS):
            raise InvalidLink
        try:
            tenant_id, expires_at = UUID(named["tenant"]), int(named["expires"])
        except ValueError as error:
            raise InvalidLink from error
        given = named["signature"].encode()
        known = (_signature(key, path, tenant_id, expires_at).encode() for key in self._keys)
        if not any(hmac.compare_digest(one, given) for one in known) or expires_at <= time.time():
            raise InvalidLink
        return tenant_id


def _signature(key: bytes, path: str, tenant_id: UUID, expires_at: int) -> str:
    signed = f"{tenant_id}\n{expires_at}\n{path}".encode()
    return base64.urlsafe_b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode().rstrip("=")
