"""The writer: services call it in the transaction of the act."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Table, cast, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from leasehold.core.actor import Actor
from leasehold.core.changes import Changes
from leasehold.core.database import PlatformSession
from leasehold.tenancy.audit.models import PlatformAuditEvent, TenantAuditEvent
from leasehold.tenancy.audit.row import NO_CHANGES, Outcome, Target, event_row
from leasehold.tenancy.bind import TenantSession, note_met

_TENANT: Table = TenantAuditEvent.__table__  # pyright: ignore[reportAssignmentType]
_PLATFORM: Table = PlatformAuditEvent.__table__  # pyright: ignore[reportAssignmentType]

Actions = Mapping[str, str | tuple[str, str]]
"""By which action the change of a field is told; of a flag by two, for it was taken away, and for it was set."""


class AuditLog:
    """The log of a session's plane, for one actor.

    What it writes stands or falls with the transaction: an act that is rolled back leaves no event, and one whose event
    cannot be written is rolled back. So what must be told of a refusal is recorded by who returns the refusal; an
    exception would take the event with it.
    """

    def __init__(self, session: object, by: Actor) -> None:
        if not isinstance(session, TenantSession | PlatformSession):
            raise TypeError("an act is recorded on the session of its plane")
        self._session = session
        self._by = by

    async def record(
        self,
        action: str,
        target: Target | None,
        *,
        changes: Changes = NO_CHANGES,
        outcome: Outcome = "succeeded",
        reason: str | None = None,
    ) -> None:
        """Write down an act: `record("client.deleted", ("client", client_id))`."""
        row = event_row(self._by, action, target, changes=changes, outcome=outcome, reason=reason)
        await self._insert(_PLATFORM if isinstance(self._session, PlatformSession) else _TENANT, row)

    async def record_changes(self, target: Target, changes: Changes, actions: Actions) -> None:
        """Write down what a patch changed, an event for each action; nothing where nothing changed."""
        for action, told in by_action(changes, actions).items():
            await self.record(action, target, changes=told)

    async def record_to(
        self,
        tenant_id: UUID,
        action: str,
        target: Target | None = None,
        *,
        changes: Changes = NO_CHANGES,
        reason: str | None = None,
    ) -> None:
        """Write down what is done on the platform to a tenant: the same event, with the same id, in both logs.

        The tenant is the target if none is named. To the end of the transaction it lives where it does now.

        A schema that was not migrated since before there was a log has none. It must be possible to suspend its tenant
        all the same, and the platform's log tells.

        Raises:
            TypeError: the session is a tenant's.
        """
        if not isinstance(self._session, PlatformSession):
            raise TypeError("what is done to a tenant is recorded on the platform's session")
        row = event_row(self._by, action, target or ("tenant", tenant_id), changes=changes, reason=reason)
        await self._session.run_sync(_insert_in_both, tenant_id, row)

    async def _insert(self, table: Table, row: Mapping[str, Any]) -> None:
        await self._session.execute(insert(table), row)


def _insert_in_both(session: Session, tenant_id: UUID, row: Mapping[str, Any]) -> None:
    session.execute(insert(_PLATFORM), row)
    event = cast(msgspec.to_builtins(row), JSONB)
    session.execute(select(func.platform.record_to_tenant(tenant_id, event)))
    note_met(session, {tenant_id})


def by_action(changes: Changes, actions: Actions) -> Mapping[str, Changes]:
    """Return the changes of each action."""
    told: dict[str, dict[str, Mapping[str, object]]] = {}
    for field, change in changes.items():
        action = actions[field]
        if isinstance(action, tuple):
            action = action[bool(change["to"])]
        told.setdefault(action, {})[field] = change
    return told
