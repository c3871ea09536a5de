"""What can be done with many items at once, in slices: a thousand lines in one go would keep everybody else waiting."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from leasehold.core.bulk import Outcomes, lines_of
from leasehold.core.clock import utc_now
from leasehold.core.errors import MOST_FAULTS, FieldError, Invalid, NotFound, Problem
from leasehold.core.ids import new_id
from leasehold.core.preconditions import PreconditionFailed, PreconditionRequired
from leasehold.core.slices import WRITTEN, each, slices
from leasehold.core.uploads import RawLine, Upload
from leasehold.core.validation import UNREADABLE, converted, within
from leasehold.tenancy.bind import TenantSession
from leasehold.workspace.catalogue import ITEMS
from leasehold.workspace.items import models, schemas
from leasehold.workspace.items.repository import ItemRepository
from leasehold.workspace.items.service import InvalidOwner, changes_of, values_of, write
from leasehold.workspace.limits.service import LimitService
from leasehold.workspace.settings.repository import SettingsRepository

Row = dict[str, Any]
Change = tuple[models.Item, Row]


class ItemBulk:
    """The items of the bound tenant, for who writes many in one unit of work.

    A line that is refused takes no other with it: what is wrong with it is found out before anything is written, so no
    savepoint is needed. All others stand or fall together.
    """

    def __init__(self, session: TenantSession) -> None:
        self._session = session
        self._repository = ItemRepository(session=session)
        self._limits = LimitService(session)

    async def add(self, lines: Sequence[object]) -> Outcomes[schemas.Item]:
        """Make an item of each line that can be one, as long as there is room, and return what became of each.

        Raises:
            LimitExceeded: the tenant may have no more bytes.
        """
        await self._limits.demand_storage()
        checked = await self._with_active_owners(await each(partial(_row_of, struct=schemas.ItemCreate), lines))
        rows = await self._inserted(await self._within_limit(checked))
        return lines_of(await each(_made, rows), status=201)

    async def change(self, lines: Sequence[object]) -> Outcomes[schemas.Item]:
        """Change the items that the lines name, and return what became of each. An item is changed by one line only."""
        patches = await each(_patch_of, lines)
        rows = await self._repository.locked_many({each.id for each in patches if isinstance(each, schemas.ItemChange)})
        needs_version = await SettingsRepository(session=self._session).requires_if_match()
        changes = [_change_of(patch, rows, needs_version=needs_version) for patch in _each_once(patches)]
        inactive = await self._inactive(_new_owner(change) for change in changes)
        results: list[models.Item | Problem] = []
        async for some in slices(changes, WRITTEN):
            for change in some:
                if isinstance(change, Problem):
                    results.append(change)
                elif _new_owner(change) in inactive:
                    results.append(InvalidOwner())
                else:
                    write(*change)
                    results.append(change[0])
            await self._session.flush()
        return lines_of(await each(_shown, results), status=200)

    async def take(self, upload: Upload) -> schemas.Imported:
        """Make an item of each line of an upload, or none at all.

        Raises:
            Invalid: with up to `MOST_FAULTS` faults, each with the number of its line.
            LimitExceeded: the tenant may not have so many items, or no more bytes.
        """
        await self._limits.demand_storage()
        imported, faults = 0, list[FieldError]()
        try:
            async for batch in upload.batches():
                rows = await each(_imported, batch)
                # Once there is a fault nothing is kept, and the rest is only looked through.
                rows = await self._inserted(await self._with_active_owners(rows)) if not faults else rows
                for (number, _), row in zip(batch, rows, strict=True):
                    if isinstance(row, Problem):
                        faults += within(f"line {number}", row.errors)
                imported += len(rows)
                if len(faults) >= MOST_FAULTS or not self._limits.allows(ITEMS, imported):
                    break
        except Invalid as problem:
            faults += problem.errors
        if faults:
            raise Invalid(errors=faults)
        # At the end, for it lets nobody else make an item: an import may take long.
        await self._limits.demand(ITEMS, imported, made=imported)
        return schemas.Imported(imported)

    async def _with_active_owners(self, rows: Sequence[Row | Problem]) -> list[Row | Problem]:
        """Return those of some rows that have an owner who is active, or none, and why the others are refused."""
        inactive = await self._inactive({row["owner_id"] for row in rows if not isinstance(row, Problem)})
        return [InvalidOwner() if not isinstance(row, Problem) and row["owner_id"] in inactive else row for row in rows]

    async def _within_limit(self, rows: Sequence[Row | Problem]) -> list[Row | Problem]:
        """Return as many of some rows as the tenant may have, the first ones, and why the others are refused."""
        granted, refusal = await self._limits.take(ITEMS, sum(not isinstance(row, Problem) for row in rows))
        if refusal is None:
            return [*rows]
        found: list[Row | Problem] = []
        for row in rows:
            if isinstance(row, Problem):
                found.append(row)
            else:
                found.append(row if granted > 0 else refusal)
                granted -= 1
        return found

    async def _inserted(self, rows: list[Row | Problem]) -> list[Row | Problem]:
        """Insert those of some rows that were not refused, and return all."""
        async for some in slices([row for row in rows if not isinstance(row, Problem)], WRITTEN):
            await self._repository.insert_many(some)
        return rows

    async def _inactive(self, owner_ids: Iterable[UUID | None]) -> set[UUID]:
        """Return those ids that are no active user's; all others stay a user's to the end of the transaction."""
        wanted = {owner_id for owner_id in owner_ids if owner_id is not None}
        return wanted - await self._repository.active_users(wanted) if wanted else set()


def _decoded(line: bytes) -> object:
    try:
        return msgspec.json.decode(line)
    except UNREADABLE:
        return Invalid(errors=[FieldError("", "is not valid JSON, or nested too deeply")])


def _imported(line: RawLine) -> Row | Problem:
    return _row_of(_decoded(line[1]), schemas.ItemLine)


def _row_of(line: object, struct: type[schemas.ItemCreate]) -> Row | Problem:
    """Return the columns of a new item, or why a line is none."""
    if isinstance(line, Problem):
        return line
    try:
        values = values_of(converted(line, struct))
    except Problem as problem:
        return problem
    now = utc_now()
    return {"id": new_id(), **values, "version": 1, "created_at": now, "updated_at": now}


def _patch_of(line: object) -> schemas.ItemChange | Problem:
    try:
        return converted(line, schemas.ItemChange)
    except Problem as problem:
        return problem


def _each_once(patches: Sequence[schemas.ItemChange | Problem]) -> list[schemas.ItemChange | Problem]:
    """Return patches, each of which changes another item than those before it, or is refused."""
    first: dict[UUID, int] = {}
    found: list[schemas.ItemChange | Problem] = []
    for index, patch in enumerate(patches):
        if not isinstance(patch, Problem) and (before := first.setdefault(patch.id, index)) != index:
            found.append(Invalid(errors=[FieldError("/id", f"is that of /items/{before} too")]))
        else:
            found.append(patch)
    return found


def _change_of(
    patch: schemas.ItemChange | Problem, rows: Mapping[UUID, models.Item], *, needs_version: bool
) -> Change | Problem:
    if isinstance(patch, Problem):
        return patch
    row = rows.get(patch.id)
    if row is None:
        return NotFound()
    if patch.version is UNSET:
        if needs_version:
            return PreconditionRequired("This tenant wants to know what is changed: say which version you have seen.")
    elif patch.version != row.version:
        return PreconditionFailed()
    try:
        return row, changes_of(patch)
    except Problem as problem:
        return problem


def _new_owner(change: Change | Problem) -> UUID | None:
    """Return to whom an item is given that was not theirs."""
    if isinstance(change, Problem):
        return None
    row, values = change
    owner_id = values.get("owner_id")
    return owner_id if owner_id != row.owner_id else None


def _made(row: Row | Problem) -> schemas.Item | Problem:
    return row if isinstance(row, Problem) else msgspec.convert(row, schemas.Item)


def _shown(row: models.Item | Problem) -> schemas.Item | Problem:
    if isinstance(row, Problem):
        return row
    return schemas.Item(*(getattr(row, name) for name in schemas.Item.__struct_fields__))
