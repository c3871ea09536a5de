"""The query parameters of lists, whatever their plane. Only routes import this: it is said in Litestar's words."""

from datetime import datetime
from typing import Annotated

from litestar.params import QueryParameter
from msgspec import ValidationError, convert

from leasehold.core.errors import FieldError, Invalid
from leasehold.core.pagination import MAX_LIMIT

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Rows on the page")]
# A place in an order by texts of 200 letters, each of which may take 6 bytes in JSON, is 1,700 letters long.
CursorText = Annotated[str | None, QueryParameter(max_length=2000, description="`next_cursor` of the page before")]


def moment(name: str, description: str) -> QueryParameter:
    """Describe a parameter that is a time, sent as RFC 3339, section 5.6 has it. `moment_of` reads it."""
    return QueryParameter(
        name=name, description=f"{description}; it names its zone", max_length=40, schema_extra={"format": "date-time"}
    )


def moment_of(text: str | None, name: str) -> datetime | None:
    """Return the time that a parameter names, None where it is missing.

    Not a `datetime` in the signature of a route: Litestar takes any number for one, as seconds since 1970.

    Raises:
        Invalid: it is no time, or does not name its zone, and could be any of a day's moments.
    """
    if text is None:
        return None
    try:
        found = convert(text, datetime)
    except ValidationError as error:
        raise Invalid(errors=[FieldError(f"?{name}", "must be a date and a time, as RFC 3339 has them")]) from error
    if found.tzinfo is None:
        raise Invalid(errors=[FieldError(f"?{name}", "must name its zone")])
    return found
