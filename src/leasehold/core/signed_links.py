"""Links that anybody may follow who has them: to one address of one tenant, until a time."""

import base64
import hashlib
import hmac
import re
import time
from uuid import UUID

from leasehold.core.errors import Forbidden

# As it is written here and in no other way, so that nobody can alter a letter of it.
_QUERY = re.compile(
    "tenant=(?P<tenant>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    "&expires=(?P<expires>[1-9][0-9]{0,14})&signature=(?P<signature>[A-Za-z0-9_-]{43})"
)


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
        return f"{self._base_url}{path}?tenant={tenant_id}&expires={expires_at}&signature={signature}"

    def tenant_of(self, path: str, query: str) -> UUID:
        """Return the tenant of a link, by the path and the query of a request.

        Raises:
            InvalidLink: it was not made here for this path, or its time is over.
        """
        found = _QUERY.fullmatch(query)
        if found is None:
            raise InvalidLink
        tenant_id, expires_at = UUID(found["tenant"]), int(found["expires"])
        given = found["signature"].encode()
        known = (_signature(key, path, tenant_id, expires_at).encode() for key in self._keys)
        if not any(hmac.compare_digest(one, given) for one in known) or expires_at <= time.time():
            raise InvalidLink
        return tenant_id


def _signature(key: bytes, path: str, tenant_id: UUID, expires_at: int) -> str:
    signed = f"{tenant_id}\n{expires_at}\n{path}".encode()
    return base64.urlsafe_b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode().rstrip("=")
