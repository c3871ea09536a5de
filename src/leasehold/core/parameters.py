"""The query parameters of lists, whatever their plane. Only routes import this: it is said in Litestar's words."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from leasehold.core.errors import FieldError, Invalid
from leasehold.core.pagination import MAX_LIMIT

_WORD = r"^[a-z_.]{1,100}$(?!\n)"

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Rows on the page")]
CursorText = Annotated[str | None, QueryParameter(max_length=200, description="`next_cursor` of the page before")]

CreatedFrom = Annotated[
    datetime | None, QueryParameter(name="created_at[gte]", description="From this moment on; it names its zone")
]
CreatedBefore = Annotated[
    datetime | None, QueryParameter(name="created_at[lt]", description="Before this moment; it names its zone")
]

ActorId = Annotated[UUID | None, QueryParameter(description="Only what this user, client, key or admin did")]
Action = Annotated[str | None, QueryParameter(pattern=_WORD, description="Only this action, as `client.created`")]
TargetKind = Annotated[str | None, QueryParameter(pattern=_WORD, description="Only what was done to such a thing")]
TargetId = Annotated[UUID | None, QueryParameter(description="Only what was done to the thing with this id")]


def demand_zone(**moments: datetime | None) -> None:
    """Pass if each of the times of `created_at` names its zone, as RFC 3339, section 5.6 has it: `gte=...`, `lt=...`.

    Raises:
        Invalid: one does not, and could be any of a day's moments.
    """
    faults = [
        FieldError(f"?created_at[{name}]", "must name its zone")
        for name, moment in moments.items()
        if moment is not None and moment.tzinfo is None
    ]
    if faults:
        raise Invalid(errors=faults)
