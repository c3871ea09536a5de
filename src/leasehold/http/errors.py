"""Renders every error as a problem document (RFC 9457). What nobody foresaw is logged and shown as a plain 500."""

from typing import Any

import structlog
from advanced_alchemy.exceptions import DuplicateKeyError, NotFoundError
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from leasehold.core.errors import Conflict, FieldError, NotFound, Problem
from leasehold.http.request_log import request_id_of
from leasehold.http.validation import explain_body, explain_parameters

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/docs/problems/"

_FRAMEWORK_TYPES = {
    400: ("bad-request", "Bad request"),
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    413: ("body-too-large", "Body too large"),
    415: ("unsupported-media-type", "Unsupported media type"),
}

_log = structlog.get_logger(__name__)


class ProblemField(Struct):
    """One fault in the input."""

    pointer: str
    """JSON pointer (RFC 6901) into the body, or `?name` of a query parameter."""
    detail: str


class ProblemDocument(Struct):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[ProblemField]


def exception_handlers() -> dict[int | type[Exception], Any]:
    """Return the handlers that leave no error in another form."""
    return {
        Problem: _on_problem,
        NotFoundError: _on_not_found,
        DuplicateKeyError: _on_duplicate,
        ValidationException: _on_invalid,
        HTTPException: _on_framework_error,
        Exception: _on_unforeseen,
    }


AnyRequest = Request[Any, Any, State]


def _on_problem(request: AnyRequest, error: Problem) -> Response[ProblemDocument]:
    if error.status >= 500:
        _log.warning("request_refused", problem=error.type, cause=repr(error.__cause__), path=request.scope["path"])
    return _render(request, error.status, error.type, error.title, error.detail, error.errors, error.headers)


def _on_not_found(request: AnyRequest, _error: NotFoundError) -> Response[ProblemDocument]:
    return _on_problem(request, NotFound())


def _on_duplicate(request: AnyRequest, _error: DuplicateKeyError) -> Response[ProblemDocument]:
    return _on_problem(request, Conflict())


async def _on_invalid(request: AnyRequest, error: ValidationException) -> Response[ProblemDocument]:
    faults = explain_parameters(error.extra)
    if not faults:
        faults = explain_body(request.route_handler, await request.body())
    return _render(request, 422, "validation-failed", "Validation failed", "The input is not acceptable.", faults, {})


def _on_framework_error(request: AnyRequest, error: HTTPException) -> Response[ProblemDocument]:
    kind, title = _FRAMEWORK_TYPES.get(error.status_code, ("error", "Error"))
    if error.status_code >= 500:
        return _on_unforeseen(request, error)
    detail = {
        400: "The body is not what its content type says.",
        404: "There is nothing at this address.",
        405: "The address does not take this method.",
        413: "The body is larger than this address takes.",
    }.get(error.status_code, error.detail)
    return _render(request, error.status_code, kind, title, detail, (), error.headers or {})


def _on_unforeseen(request: AnyRequest, error: Exception) -> Response[ProblemDocument]:
    _log.error("request_failed", request_id=request_id_of(request.scope), exc_info=error)
    detail = "Something went wrong here. The request id helps to find out what."
    return _render(request, 500, "internal-error", "Internal error", detail, (), {})


def _render(
    request: AnyRequest,
    status: int,
    kind: str,
    title: str,
    detail: str,
    errors: tuple[FieldError, ...] | list[FieldError],
    headers: dict[str, str],
) -> Response[ProblemDocument]:
    document = ProblemDocument(
        type=TYPE_PREFIX + kind,
        title=title,
        status=status,
        detail=detail,
        instance=request.scope["path"],
        request_id=request_id_of(request.scope),
        errors=[ProblemField(error.pointer, error.detail) for error in errors],
    )
    return Response(document, status_code=status, media_type=MEDIA_TYPE, headers=headers)
