"""Opaque secrets that a client holds: `lh_<kind>_<tenant id, short>_<random><crc32>`; an admin's has no tenant part.

The tenant part routes, the checksum refuses typing errors before any query, and secret scanners know the shape.
Only an HMAC of a secret is stored; the secret itself is shown once.
"""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_type_hints
from uuid import UUID

from msgspec import Meta, Struct

from leasehold.core.ids import base62, parse_short_id, short_id

PREFIX = "lh_"
"""How every secret begins, and no access token."""

_RANDOM_LETTERS = 32
_CHECKSUM_LETTERS = 6
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_MARK = "shown_once"

ShownOnce = Annotated[
    str | None,
    Meta(
        description="Shown this once. Null in an answer that is replayed for an idempotency key",
        examples=["lh_client_00000000000000000000ab_..."],
        extra={_MARK: True},
    ),
]
"""A secret in an answer: nothing keeps it, not even the answer to a request that had an idempotency key."""


class MalformedSecret(ValueError):
    """The text is no secret of this system: its shape or its checksum is wrong."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True, slots=True)
class ParsedSecret:
    """What a well-formed secret says about itself, before anything is looked up."""

    kind: str
    tenant_id: UUID | None


def new_secret(kind: str, *, tenant_id: UUID | None) -> str:
    """Return a fresh secret with 190 bits of randomness."""
    return _secret(kind, tenant_id, "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM_LETTERS)))


def succeeding_secret(secret: str, *, pepper: bytes) -> str:
    """Return the secret of the same kind that follows another: the same one each time, and only for who has the pepper.

    Raises:
        MalformedSecret: `secret` is none.
    """
    parsed = parse_secret(secret)
    digest = hmac.new(pepper, b"successor of " + secret.encode(), hashlib.sha256).digest()
    number = int.from_bytes(digest) % 62**_RANDOM_LETTERS
    return _secret(parsed.kind, parsed.tenant_id, base62(number, length=_RANDOM_LETTERS))


def parse_secret(text: str) -> ParsedSecret:
    """Return kind and tenant of a well-formed secret.

    Raises:
        MalformedSecret: wrong shape or checksum.
    """
    body, checksum = text[:-_CHECKSUM_LETTERS], text[-_CHECKSUM_LETTERS:]
    parts = body.split("_")
    if not text.isascii() or len(parts) not in {3, 4} or parts[0] != "lh" or len(parts[-1]) != _RANDOM_LETTERS:
        raise MalformedSecret
    if not hmac.compare_digest(_checksum(body), checksum):
        raise MalformedSecret
    try:
        return ParsedSecret(kind=parts[1], tenant_id=parse_short_id(parts[2]) if len(parts) == 4 else None)
    except ValueError as error:
        raise MalformedSecret from error


def secret_digest(secret: str, *, pepper: bytes) -> bytes:
    """Return the 32 bytes under which a secret is stored and compared."""
    return hmac.new(pepper, secret.encode(), hashlib.sha256).digest()


def secret_digests(secret: str, *, peppers: Sequence[bytes]) -> list[bytes]:
    """Return what a secret may be stored under, by the newest pepper first."""
    return [secret_digest(secret, pepper=pepper) for pepper in peppers]


def is_secret(text: str, kind: str, *, tenant_id: UUID | None) -> bool:
    """Tell whether a text has the shape of a secret of this kind and tenant."""
    try:
        return parse_secret(text) == ParsedSecret(kind, tenant_id)
    except MalformedSecret:
        return False


def _secret(kind: str, tenant_id: UUID | None, random: str) -> str:
    body = "_".join(["lh", kind, *([short_id(tenant_id)] if tenant_id else []), random])
    return body + _checksum(body)


def fields_shown_once(annotation: Any) -> tuple[str, ...]:
    """Return the fields of an answer that are marked `ShownOnce`; of a struct, or of what is said to hold one."""
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        hints = get_type_hints(annotation, include_extras=True)
        names = dict(zip(annotation.__struct_fields__, annotation.__struct_encode_fields__, strict=True))
        return tuple(names[field] for field, kind in hints.items() if field in names and _is_marked(kind))
    return tuple(name for argument in get_args(annotation) for name in fields_shown_once(argument))


def _is_marked(kind: Any) -> bool:
    return any(isinstance(meta, Meta) and (meta.extra or {}).get(_MARK) for meta in getattr(kind, "__metadata__", ()))


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), length=_CHECKSUM_LETTERS)
