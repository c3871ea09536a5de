"""How much of what is limited there is, and how much more may be made."""

from typing import Any

from msgspec import Struct
from sqlalchemy import Select, Table, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from leasehold.core.ids import new_id
from leasehold.core.reads import Read, Reader
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.entitlements import Limit
from leasehold.tenancy.sizes import OWN_BYTES
from leasehold.workspace.catalogue import ITEMS, STORAGE, USERS
from leasehold.workspace.items.models import Item
from leasehold.workspace.limits.models import LimitRoom
from leasehold.workspace.users.models import User


class _Used(Struct):
    used: int


_Statement = Select[*tuple[Any, ...]]
_COUNTED: dict[Limit, _Statement] = {
    USERS: select(func.count().label("used")).select_from(User).where(User.is_active),
    ITEMS: select(func.count().label("used")).select_from(Item).where(Item.deleted_at.is_(None)),
    STORAGE: select(OWN_BYTES.label("used")),
}
"""How it is found out how much of each limit is used."""
# On the table, not on the model: entities that nobody wants would cost as much as the statement.
_ROOMS: Table = LimitRoom.__table__  # pyright: ignore[reportAssignmentType]
_NAME = bindparam("limit_name", type_=Text)
_TAKE = (
    update(_ROOMS)
    .where(_ROOMS.c.name == _NAME, _ROOMS.c.terms == bindparam("known_terms"), _ROOMS.c.room >= bindparam("wanted"))
    .values(room=_ROOMS.c.room - bindparam("wanted"))
    .returning(_ROOMS.c.room)
)
_LOCK = (
    insert(_ROOMS)
    .values(id=bindparam("new_id"), name=_NAME, terms="", room=0)
    .on_conflict_do_update(index_elements=["name"], set_={"room": 0})
)
_SET = update(_ROOMS).where(_ROOMS.c.name == _NAME).values(terms=bindparam("known_terms"), room=bindparam("known_room"))
_READS = {limit: Read(statement, _Used) for limit, statement in _COUNTED.items()}


class LimitReads:
    """What is used of the limits of the bound tenant."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def used(self, limit: Limit) -> int:
        """Count how much of it is used."""
        found = await self._reader.one(_READS[limit])
        return found.used if found else 0


class LimitRepository:
    """The limits of the bound tenant, for who makes something."""

    def __init__(self, session: TenantSession) -> None:
        self._session = session

    async def used(self, limit: Limit) -> int:
        """Count how much of it is used, with what this transaction has made."""
        return int(await self._session.scalar(_COUNTED[limit]) or 0)

    async def take_known(self, limit: Limit, wanted: int) -> bool:
        """Take room that is certainly there, and say whether it was. Nobody else takes any until this has committed."""
        values = {"limit_name": limit.name, "known_terms": self._session.tenant.terms, "wanted": wanted}
        return await self._session.scalar(_TAKE, values) is not None

    async def lock(self, limit: Limit) -> None:
        """Let nobody else take room until this has committed, and wait for those who have taken some."""
        await self._session.execute(_LOCK, {"new_id": new_id(), "limit_name": limit.name})

    async def set_room(self, limit: Limit, room: int) -> None:
        """Say how much room there is; it must be locked."""
        values = {"limit_name": limit.name, "known_terms": self._session.tenant.terms, "known_room": room}
        await self._session.execute(_SET, values)
