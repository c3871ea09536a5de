"""How JSON bodies are read: straight into the struct that the route takes, and as strictly as the struct says.

Litestar reads them into dictionaries first, and then believes that "false" is a boolean and "900" a number.
"""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.types import Empty

from leasehold.http.arriving import arriving
from leasehold.http.marks import CLIENT_TIMEOUT_S


class NotAcceptable:
    """Stands for JSON that is not what a route takes.

    It is refused where Litestar looks at all arguments together: behind the dependencies, which may refuse the request
    for a better reason.
    """


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON is what its route takes, or nothing, and whose body has arrived in time, or not at all."""

    def stream(self) -> AsyncGenerator[bytes]:
        """Return the parts of the body, as they arrive where it was not read yet.

        Raises:
            BodyTooLarge, BodyTooSlow, BodyCutOff: see `arriving`.
        """
        if self._body is not Empty:
            return _whole(self._body)
        route = self.route_handler
        limit, within_s = route.resolve_request_max_body_size(), route.opt[CLIENT_TIMEOUT_S]
        if limit is None:
            raise LookupError(f"the route {route} takes bodies without an end")
        return arriving(self.scope, self.receive, max_bytes=limit, whole_s=within_s, part_s=within_s)

    async def json(self) -> Any:
        """Return the body as the struct that the route takes, or `NotAcceptable`; as it is where it takes none.

        Raises:
            msgspec.DecodeError: it is no JSON.
        """
        field = self.route_handler.parsed_data_field
        kind = field.annotation if field else None
        if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
            return await super().json()
        try:
            return msgspec.json.decode(await self.body(), type=kind)
        except msgspec.ValidationError:
            return NotAcceptable()


async def _whole(body: bytes) -> AsyncGenerator[bytes]:
    yield body
