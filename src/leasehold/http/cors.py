"""Lets pages of other origins call the API, where the settings name them (Fetch standard, section 3.2, HTTP-CORS).

No credentials are allowed, for a browser has none of ours: a page sends its token itself, and there are no cookies.
"""

import re

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from leasehold.config import origins_of

_METHODS = b"GET, POST, PUT, PATCH, DELETE"
_SENT = (
    b"authorization, content-type, idempotency-key, if-match, if-none-match, request-id, traceparent, tracestate, "
    b"x-tenant"
)
_SHOWN = b"etag, idempotency-replayed, ratelimit, ratelimit-policy, request-id, retry-after, www-authenticate"
_LABELS = "[a-z0-9-]+(?:[.][a-z0-9-]+)*"
_REMEMBERED_S = 7200
"""Chromium's longest."""
_VARY = (b"vary", b"origin")
# Whatever the request is: what it may do there, its token says.
_PREFLIGHT = (
    (b"access-control-allow-methods", _METHODS),
    (b"access-control-allow-headers", _SENT),
    (b"access-control-max-age", b"%d" % _REMEMBERED_S),
    _VARY,
)


class AllowedOrigins:
    """The origins that a setting names."""

    def __init__(self, text: str) -> None:
        origins = origins_of(text)
        self._is_any = "*" in origins
        self._exact = frozenset(origins)
        self._below = [re.compile(re.escape(origin).replace(r"\*", _LABELS)) for origin in origins if "*." in origin]

    def allow(self, origin: str) -> bool:
        """Tell whether pages of an origin, as a browser names it, may call the API."""
        if self._is_any or origin in self._exact:
            return True
        return any(pattern.fullmatch(origin) for pattern in self._below)


class CrossOrigin:
    """An ASGI application around the app, which answers browsers before they ask, and lets pages read what they get."""

    def __init__(self, app: ASGIApp, origins: AllowedOrigins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = dict(scope["headers"])
        allowed = self._headers_for(headers.get(b"origin"))
        if allowed and scope["type"] == "http" and _is_preflight(scope["method"], headers):
            await send({"type": "http.response.start", "status": 204, "headers": [*allowed, *_PREFLIGHT]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], _VARY, *allowed]
            await send(message)

        await self._app(scope, receive, send_readable)

    def _headers_for(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        if origin is None or not self._origins.allow(origin.decode("latin-1")):
            return []
        return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _SHOWN)]


def _is_preflight(method: str, headers: dict[bytes, bytes]) -> bool:
    return method == "OPTIONS" and b"access-control-request-method" in headers
