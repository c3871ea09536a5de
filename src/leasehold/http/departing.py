"""What a process that is about to stop does with requests: it answers them, and sends their clients elsewhere."""

import asyncio

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from leasehold.core.stopping import Stopping

_CLOSE = (b"connection", b"close")


class Departing:
    """An ASGI application around the app, which knows the requests under way.

    Once the end is near it closes each connection with the answer: a client that is kept on one would be cut off by the
    end of the process, perhaps in the moment in which it sends its next request.
    """

    __slots__ = ("_app", "_stopping")

    def __init__(self, app: ASGIApp, stopping: Stopping) -> None:
        self._app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        stopping = self._stopping

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], _CLOSE]
            await send(message)

        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # whoever awaits has one
        stopping.under_way.add(task)
        try:
            await self._app(scope, receive, send_and_close if stopping.is_near else send)
        finally:
            stopping.under_way.discard(task)
