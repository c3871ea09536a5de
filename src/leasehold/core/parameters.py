"""The query parameters of every list, whatever its plane. Only routes import this: it is said in Litestar's words."""

from typing import Annotated

from litestar.params import QueryParameter

from leasehold.core.pagination import MAX_LIMIT

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="Rows on the page")]
CursorText = Annotated[str | None, QueryParameter(max_length=200, description="`next_cursor` of the page before")]
