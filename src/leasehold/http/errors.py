"""Renders every error as a problem document (RFC 9457). What nobody foresaw is logged and shown as a plain 500."""

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from advanced_alchemy.exceptions import NotFoundError
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from leasehold.core.errors import (
    TYPE_PREFIX,
    DatabaseUnavailable,
    FieldError,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Problem,
)
from leasehold.core.failures import kind_of
from leasehold.core.sqlstate import OF_VALUES, told_of_fields
from leasehold.core.validation import UNREADABLE
from leasehold.http.idempotency import AnswerReplayed, on_replayed
from leasehold.http.moved import TenantMoved, on_moved
from leasehold.http.refusals import BodyTooLarge, InternalError, MethodNotAllowed, WrongMediaType
from leasehold.http.request_log import request_id_of
from leasehold.http.validation import body_fields, explain_body, explain_parameters

MEDIA_TYPE = "application/problem+json"

_OF_FRAMEWORK: dict[int, Problem] = {
    400: Problem("The body is not what its content type says."),
    404: NotFound("There is nothing at this address."),
    405: MethodNotAllowed(),
    413: BodyTooLarge(),
    415: WrongMediaType(),
}

_ONLY_READ = frozenset({"GET", "HEAD"})

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
    """Return the handlers that leave no error in another form, and those that answer what is no error."""
    return {
        AnswerReplayed: on_replayed,
        TenantMoved: on_moved,
        Problem: _on_problem,
        NotFoundError: _on_not_found,
        ExceptionGroup: _on_group,
        ValidationException: _on_invalid,
        HTTPException: _on_framework_error,
        **dict.fromkeys(UNREADABLE, _on_unreadable),
        Exception: _on_unforeseen,
    }


AnyRequest = Request[Any, Any, State]


def _on_problem(request: AnyRequest, error: Problem) -> Response[ProblemDocument]:
    if isinstance(error, OutcomeUnknown) and request.method in _ONLY_READ:
        error = _without_outcome(error)
    if error.status >= 500:
        _log.warning("request_refused", problem=error.type, cause=kind_of(error.__cause__), path=request.scope["path"])
    if isinstance(error, OF_VALUES):
        error = told_of_fields(error, body_fields(request.route_handler))
    answer = _render(request, error, error.headers)
    if error.extensions:
        answer.content = msgspec.to_builtins(answer.content) | error.extensions
    return answer


def _without_outcome(error: OutcomeUnknown) -> Problem:
    """Return what the loss of a COMMIT is to who only reads."""
    plain = DatabaseUnavailable()
    plain.__cause__ = error.__cause__
    return plain


def _on_not_found(request: AnyRequest, _error: NotFoundError) -> Response[ProblemDocument]:
    return _on_problem(request, NotFound())


def _on_group(request: AnyRequest, error: ExceptionGroup[Exception]) -> Response[ProblemDocument]:
    """Litestar wraps what the unit of work made of an error, for it differs from the error that went in."""
    problem = error.exceptions[0]
    return _on_problem(request, problem) if isinstance(problem, Problem) else _on_unforeseen(request, error)


def _on_invalid(request: AnyRequest, error: ValidationException) -> Response[ProblemDocument]:
    faults = explain_parameters(error.extra, request.route_handler)
    if not faults:
        faults = explain_body(request.route_handler, _body_already_read(request))
    return _render(request, Invalid("The input is not acceptable.", errors=faults))


def _on_unreadable(request: AnyRequest, _error: Exception) -> Response[ProblemDocument]:
    faults = [FieldError("", "is not valid JSON, or nested too deeply")]
    return _render(request, Problem("The body cannot be read.", errors=faults))


def _body_already_read(request: AnyRequest) -> bytes:
    """Return the body, which Litestar read before it validated. Its error handlers cannot wait, and need not."""
    reading = request.body()
    try:
        reading.send(None)
    except StopIteration as read:
        return read.value
    reading.close()
    return b""


def _on_framework_error(request: AnyRequest, error: HTTPException) -> Response[ProblemDocument]:
    problem = _OF_FRAMEWORK.get(error.status_code)
    return _on_unforeseen(request, error) if problem is None else _render(request, problem, error.headers)


def _on_unforeseen(request: AnyRequest, error: Exception) -> Response[ProblemDocument]:
    _log.error("request_failed", request_id=request_id_of(request.scope), exc_info=error)
    return _render(request, InternalError())


def _render(
    request: AnyRequest, problem: Problem, headers: Mapping[str, str] | None = None
) -> Response[ProblemDocument]:
    document = ProblemDocument(
        type=TYPE_PREFIX + problem.type,
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        instance=request.scope["path"],
        request_id=request_id_of(request.scope),
        errors=[ProblemField(error.pointer, error.detail) for error in problem.errors],
    )
    return Response(document, status_code=problem.status, media_type=MEDIA_TYPE, headers=dict(headers or {}))
