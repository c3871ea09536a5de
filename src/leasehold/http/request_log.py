"""The outermost layer: gives each request an id and a place in a trace, and each answer what all answers have.

It writes one line about a request and counts it when it is answered.
"""

import re
import time
from typing import Any, cast
from uuid import UUID

import structlog
from litestar import Litestar
from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send
from uuid_utils import uuid7

from leasehold.core.figures import METHODS, RequestFigures
from leasehold.core.principal import Principal
from leasehold.core.spans import Span, Spans
from leasehold.core.trace import Trace, trace_of, tracing
from leasehold.core.usage import UsageMeter
from leasehold.http.headers import AnswerHeaders

REQUEST_ID = "leasehold.request_id"
LIMITS_TOLD = "leasehold.limits_told"
"""Where the gates leave the headers about rate limits, which go on every answer, whoever gives it."""
_ACCEPTABLE_ID = re.compile(rb"^[A-Za-z0-9._-]{8,128}$")

_FAILED = 500

_log = structlog.get_logger(__name__)


class _CountedBody:
    """Receives the body of a request, and counts its bytes."""

    __slots__ = ("_receive", "received_bytes")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.received_bytes = 0

    async def __call__(self) -> ReceiveMessage:
        """Receive the next part."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.received_bytes += len(message.get("body", b""))
        return message


class RequestLog:
    """An ASGI application around the app, so that unknown routes have a request id and a log line too."""

    def __init__(
        self,
        app: Litestar,
        usage: UsageMeter,
        *,
        headers: AnswerHeaders,
        serve: ASGIApp,
        figures: RequestFigures | None = None,
        spans: Spans | None = None,
    ) -> None:
        self.app = app
        self._figures = figures
        self._spans = spans
        self._usage = usage
        self._headers = headers
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        figures = self._figures
        if figures is not None:
            figures.in_flight += 1
        request_id, trace = _begun(scope)
        scope[REQUEST_ID] = request_id  # pyright: ignore[reportGeneralTypeIssues]
        span = None if self._spans is None else self._spans.begin(scope["method"], trace)
        if span is not None:
            trace = span.trace
        status, sent = 500, 0
        # A GET has no body that anybody reads, and is what there is most of.
        body = None if scope["method"] == "GET" else _CountedBody(receive)

        async def send_with_headers(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                told = cast("dict[str, Any]", scope).get(LIMITS_TOLD, ())
                own = message["headers"]
                message["headers"] = [
                    *own,
                    (b"request-id", request_id.encode()),
                    *told,
                    *self._headers.beside(own, scope["path"]),
                ]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        with tracing(trace):
            try:
                await self._serve(scope, body or receive, send_with_headers)
            finally:
                seconds = time.perf_counter() - started
                if figures is not None:
                    figures.answered(scope.get("path_template"), scope["method"], status, seconds)
                state: dict[str, Any] = cast("dict[str, Any]", scope).get("state", {})
                tenant, principal = state.get("tenant"), state.get("principal")
                # Of a request that is refused for its tenant, it is the tenant of who asked.
                tenant_id = tenant.id if tenant else principal.tenant_id if principal else None
                if tenant is not None:
                    self._usage.count_request(tenant.id, status, body.received_bytes if body else 0, sent)
                _log.info(
                    "request_answered",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    ms=round(seconds * 1000, 2),
                    request_id=request_id,
                    trace_id=trace.trace_id,
                    tenant=tenant_id,
                    subject=principal.subject if principal else None,
                )
                if span is not None:
                    _end(span, scope, status, tenant_id=tenant_id, principal=principal)


def _end(span: Span, scope: HTTPScope, status: int, *, tenant_id: UUID | None, principal: Principal | None) -> None:
    """End the span of a request, which is named by what OpenTelemetry's conventions for HTTP say, and by nothing else.

    Neither its address nor its query is told, for both may hold what is secret.
    """
    route = cast("dict[str, Any]", scope).get("path_template")
    method = scope["method"] if scope["method"] in METHODS else "_OTHER"
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.response.status_code": status,
        "leasehold.request.id": request_id_of(scope),
    }
    if route is not None:
        attributes["http.route"] = route
    if tenant_id is not None:
        attributes["leasehold.tenant.id"] = str(tenant_id)
    if principal is not None:
        attributes["enduser.id"] = str(principal.subject)
    name = method if route is None else f"{method} {route}"
    span.end(name, is_error=status >= _FAILED, attributes=attributes)


def request_id_of(scope: Scope) -> str:
    """Return the id of a request."""
    return str(cast("dict[str, Any]", scope).get(REQUEST_ID, ""))


def _begun(scope: HTTPScope) -> tuple[str, Trace]:
    """Return the id of a request and its trace: those that a client or proxy gave, if they can be, else new ones."""
    request_id = traceparent = None
    for name, value in scope["headers"]:
        if name == b"request-id" and _ACCEPTABLE_ID.fullmatch(value):
            request_id = value.decode()
        elif name == b"traceparent":
            # Of two, nobody could tell which is meant.
            traceparent = "" if traceparent is not None else value.decode("latin-1")
    if request_id is None:
        request_id = str(uuid7())
    # The state of the request, in which the gates leave who asks for whom: all that is logged meanwhile shall say so.
    state: dict[str, Any] = cast("dict[str, Any]", scope).setdefault("state", {})
    return request_id, trace_of(traceparent, request_id=request_id, about=state)
