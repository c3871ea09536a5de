"""How JSON bodies are read: straight into the struct that the route takes, and as strictly as the struct says.

Litestar reads them into dictionaries first, and then believes that "false" is a boolean and "900" a number.
"""

from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State


class NotAcceptable:
    """Stands for JSON that is not what a route takes.

    It is refused where Litestar looks at all arguments together: behind the dependencies, which may refuse the request
    for a better reason.
    """


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON is what its route takes, or nothing."""

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
