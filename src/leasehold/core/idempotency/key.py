"""The key that a client gives a request, and what is kept under it."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from leasehold.core.errors import Conflict, Invalid, Problem

KEPT = timedelta(hours=24)
"""For how long a key and its answer are kept."""

_QUOTED_PATTERN = r'"((?:[ !#-\[\]-~]|\\["\\])+)"'
_BARE_PATTERN = "[!#-~](?:[ -~]*[!-~])?"
_QUOTED, _BARE = re.compile(_QUOTED_PATTERN), re.compile(_BARE_PATTERN)
KEY_PATTERN = f"^(?:{_QUOTED_PATTERN}|{_BARE_PATTERN})$"
"""What the header looks like, for who describes it."""
_MOST_CHARACTERS = 255


class InvalidIdempotencyKey(Problem):
    """The header Idempotency-Key must be 1 to 255 printable ASCII characters, in double quotes or without."""

    type = "invalid-idempotency-key"
    title = "Invalid idempotency key"


class IdempotencyKeyReused(Invalid):
    """The idempotency key was used for another request; take a new one for each."""

    type = "idempotency-key-reused"
    title = "Idempotency key reused"


class IdempotencyKeyInUse(Conflict):
    """A request with this idempotency key is still being carried out; send it again in a moment."""

    type = "idempotency-key-in-use"
    title = "Idempotency key in use"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key, whose it is, and the request that came with it. Those of two subjects never meet."""

    subject: UUID
    text: str
    fingerprint: bytes
    """32 bytes that depend on the whole request."""

    def lock(self, place: bytes) -> int:
        """Return the number of the advisory lock, for PostgreSQL has one space of them in a database for all tenants.

        `place` is where the key is valid: a tenant, or the platform.
        """
        digest = hashlib.sha256(b"idempotency" + place + self.subject.bytes + self.text.encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    def demand(self, fingerprint: bytes) -> None:
        """Pass if what is kept under the key belongs to the same request.

        Raises:
            IdempotencyKeyReused: it belongs to another.
        """
        if not hmac.compare_digest(self.fingerprint, fingerprint):
            raise IdempotencyKeyReused


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, without what may be shown once only."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_key(header: str) -> str:
    """Return the key of the header: a string of structured fields (RFC 8941, section 3.3.3), or just its characters.

    Raises:
        InvalidIdempotencyKey: it is neither, or too long.
    """
    quoted = _QUOTED.fullmatch(header)
    text = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else header
    if not quoted and not _BARE.fullmatch(header):
        raise InvalidIdempotencyKey
    if not 1 <= len(text) <= _MOST_CHARACTERS:
        raise InvalidIdempotencyKey
    return text


def fingerprint(
    pepper: bytes,
    *,
    kind: Literal["user", "client", "key", "admin"],
    subject: UUID,
    method: str,
    target: str,
    body: bytes,
) -> bytes:
    """Return the 32 bytes that stand for a request.

    They depend on the pepper too: a body may hold a password, which a plain hash would give away to whoever guesses.
    """
    mac = hmac.new(pepper, digestmod=hashlib.sha256)
    for part in (kind.encode(), subject.bytes, method.encode(), target.encode(), body):
        mac.update(len(part).to_bytes(8))
        mac.update(part)
    return mac.digest()
