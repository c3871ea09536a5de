"""How the secrets of a tenant are given from an installation to an archive, and back to an installation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from leasehold.core.vault import InstallationKey
from leasehold.tenancy.archive.rewrapping import ColumnChange, RowChange
from leasehold.tenancy.archive.sealing import ArchiveKey
from leasehold.tenancy.secrets import SecretColumn


@dataclass(frozen=True, slots=True)
class SecretsMoving:
    """A tenant with the id `here` in an installation, and `there` in an archive."""

    columns: Sequence[SecretColumn]
    ours: InstallationKey
    key: ArchiveKey
    here: UUID = field(kw_only=True)
    there: UUID = field(kw_only=True)

    def outward(self, table: str, columns: Sequence[str]) -> RowChange | None:
        """Return what wraps the secrets of a table by the key of the archive, None where it has none."""

        def rewrap(place: SecretColumn, wrapped: bytes, name: str) -> bytes:
            secret = self.ours.unwrap(wrapped, purpose=place.purpose(self.here, name))
            return self.key.wrap(secret, purpose=place.purpose(self.there, name))

        return self._change(table, columns, rewrap)

    def inward(self, table: str, columns: Sequence[str]) -> RowChange | None:
        """Return what wraps the secrets of a table by the key of the installation, None where it has none."""

        def rewrap(place: SecretColumn, wrapped: bytes, name: str) -> bytes:
            secret = self.key.unwrap(wrapped, purpose=place.purpose(self.there, name))
            return self.ours.wrap(secret, purpose=place.purpose(self.here, name))

        return self._change(table, columns, rewrap)

    def _change(
        self, table: str, columns: Sequence[str], rewrap: Callable[[SecretColumn, bytes, str], bytes]
    ) -> RowChange | None:
        places = [place for place in self.columns if place.table == table and place.column in columns]
        if not places:
            return None
        return RowChange(columns, [ColumnChange(place.column, place.name, _of(place, rewrap)) for place in places])


def _of(place: SecretColumn, rewrap: Callable[[SecretColumn, bytes, str], bytes]) -> Callable[[bytes, str], bytes]:
    return lambda wrapped, name: rewrap(place, wrapped, name)
