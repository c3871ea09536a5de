"""What carries the id of its tenant, and so must be issued anew where the tenant has come back under another one."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import Struct

from leasehold.core.database import DriverConnection

_NAMED = 100


@dataclass(frozen=True, slots=True)
class BoundToId:
    """Credentials of one kind."""

    what: str
    """What people call them."""
    revoke: str
    """The statement that ends them in the bound schema at head; of each it returns a `label`, which may be NULL."""


class Reissue(Struct, frozen=True):
    """Credentials of one kind that were ended."""

    what: str
    count: int
    labels: tuple[str, ...]
    """What they are called, the first hundred of those that have a name."""


async def revoke_all(connection: DriverConnection, kinds: Sequence[BoundToId]) -> list[Reissue]:
    """End what cannot work any more, and return those kinds of which there was any."""
    found: list[Reissue] = []
    for kind in kinds:
        row = await connection.fetchrow(
            f"WITH revoked AS ({kind.revoke}) SELECT count(*) AS count, "
            "array_agg(label ORDER BY label) FILTER (WHERE label IS NOT NULL) AS labels FROM revoked"
        )
        if row and row["count"]:
            labels: list[str] = row["labels"] or []
            found.append(Reissue(kind.what, row["count"], tuple(labels[:_NAMED])))
    return found
