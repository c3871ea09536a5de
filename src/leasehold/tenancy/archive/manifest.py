"""What an archive says about itself, in `manifest.json`: written last, so an archive that was cut off has none."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

FORMAT = 1
"""The version of the format, which grows when an older release could not read an archive rightly any more."""
MANIFEST = "manifest.json"
"""The member that holds the manifest."""

_Count = Annotated[int, Meta(ge=0, le=2**62)]
_Term = Annotated[int, Meta(ge=0, le=10**15)]
_Moment = Annotated[datetime, Meta(tz=True)]


class ArchivedTable(Struct, frozen=True):
    """One table, and what its member must come to."""

    name: str
    columns: tuple[str, ...]
    """In the order in which the member has them."""
    rows: _Count
    bytes: _Count
    sha256: str
    """In hexadecimal digits, of the member as it is before it is compressed."""

    @property
    def member(self) -> str:
        """The name of the member that holds its rows."""
        return f"tables/{self.name}.copy"


class ArchivedTenant(Struct, frozen=True):
    """What the platform knows of a tenant, and what belongs to it."""

    id: UUID
    slug: str
    name: str
    created_at: _Moment
    is_suspended: bool
    plan: str
    limits: dict[str, _Term]
    features: dict[str, bool]
    rate_limits: dict[str, str]
    domains: tuple[str, ...]


class KeyDerivation(Struct, frozen=True):
    """How the key of an archive follows from its passphrase: argon2id (RFC 9106)."""

    salt: str
    """In hexadecimal digits."""
    memory_kib: int
    iterations: int
    check: str
    """What only the right passphrase comes to; nothing else can be told from it."""


class AnyManifest(Struct, frozen=True, kw_only=True):
    """What every archive says about itself."""

    format: int
    leasehold: str
    """The release that made it."""
    installation: str
    """Which installation made it; it can only be told whether two are the same."""
    made_at: _Moment
    revision: str
    """Where the schema stood in its history."""
    key: KeyDerivation
    tables: tuple[ArchivedTable, ...]
    """In the order of their foreign keys: each behind those that it refers to."""

    @property
    def rows(self) -> int:
        """How many rows all tables have together."""
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        """How many bytes all members have together, before they are compressed."""
        return sum(table.bytes for table in self.tables)


class Manifest(AnyManifest, frozen=True, kw_only=True):
    """All about the archive of a tenant."""

    tenant: ArchivedTenant


class PlatformManifest(AnyManifest, frozen=True, kw_only=True):
    """All about the archive of the platform."""

    scope: Literal["platform"] = "platform"


class SealedManifest(Struct, frozen=True):
    """A manifest as it stands in an archive, with the HMAC-SHA256 over its bytes."""

    manifest: msgspec.Raw
    mac: str


class MadeBy(Struct, frozen=True):
    """What can be read of the manifest of any version."""

    format: int
    leasehold: str
    scope: str = "tenant"
