"""Which problems each operation may answer: those that follow from what it is, and those that its route declares."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from litestar.handlers import HTTPRouteHandler

from leasehold.core.attempts.rule import TooManyAttempts
from leasehold.core.errors import (
    Conflict,
    DatabaseUnavailable,
    InsufficientScope,
    Invalid,
    InvalidToken,
    NotFound,
    OutcomeUnknown,
    Problem,
    Unauthenticated,
)
from leasehold.core.idempotency.key import IdempotencyKeyInUse, IdempotencyKeyReused, InvalidIdempotencyKey
from leasehold.core.line import TooManyAtOnce
from leasehold.core.pagination import InvalidCursor
from leasehold.core.preconditions import InvalidIfMatch, PreconditionFailed, PreconditionRequired
from leasehold.core.quotas.limits import QuotaExceeded
from leasehold.core.sqlstate import ReadOnly, TooSlow
from leasehold.core.uploads import TAKES_LINES
from leasehold.http.errors import MEDIA_TYPE, TYPE_PREFIX
from leasehold.http.idempotency import TAKES_KEY
from leasehold.http.marks import CREDENTIAL_ENDPOINT, FEATURE, IS_PUBLIC, PROBLEMS, SCOPES, SIGNED_LINK, TAKES_FORM
from leasehold.http.problems import ProblemType
from leasehold.http.refusals import (
    BodyCutOff,
    BodyTooLarge,
    BodyTooSlow,
    InternalError,
    RepeatedHeader,
    TenantRequired,
    WrongMediaType,
)
from leasehold.tenancy.context import TenantInMaintenance, TenantPutBack, UnknownTenant
from leasehold.tenancy.directory import DirectoryStale
from leasehold.tenancy.entitlements import FeatureNotAvailable
from leasehold.tenancy.resolve import TenantMismatch, TenantSuspended
from leasehold.tenancy.window import TenantNotMigrated

SCHEMA = "ProblemDocument"
_Problems = tuple[type[Problem], ...]

_ALWAYS: _Problems = (InternalError,)
_BEHIND_A_GATE: _Problems = (RepeatedHeader, QuotaExceeded, DatabaseUnavailable, TooSlow, ReadOnly)
_OF_TENANTS: _Problems = (
    TooManyAtOnce,
    UnknownTenant,
    TenantMismatch,
    TenantSuspended,
    TenantInMaintenance,
    TenantNotMigrated,
    TenantPutBack,
    DirectoryStale,
)
_BY_WRITING: _Problems = (Invalid, Conflict, OutcomeUnknown)
"""What the database may make of a value, or of two who write the same, and what nobody knows once it is lost."""
_WITH_TOKEN: _Problems = (Unauthenticated, InvalidToken)
_ARRIVING: _Problems = (BodyTooLarge, BodyTooSlow, BodyCutOff)
_WITH_FORM: _Problems = (Problem, *_ARRIVING)
_WITH_BODY: _Problems = (*_WITH_FORM, WrongMediaType, Invalid)
_WITH_LINES: _Problems = (*_ARRIVING, WrongMediaType, Invalid)
_WITH_PRECONDITION: _Problems = (InvalidIfMatch, PreconditionFailed)
_WITH_KEY: _Problems = (InvalidIdempotencyKey, IdempotencyKeyInUse, IdempotencyKeyReused, *_ARRIVING)
"""A body that nobody asked for is read too: it is part of what the key stands for."""


def problems_of(path: str, handler: HTTPRouteHandler, operation: Mapping[str, Any]) -> list[ProblemType]:
    """Return the problems that an operation may answer, by status and name."""
    found = _by_mark(path, handler) | _by_input(path, handler, operation)
    return sorted({ProblemType.of(_declaring(problem)) for problem in found})


def describe_problems(operation: dict[str, Any], problems: list[ProblemType], *, is_oauth: bool) -> None:
    """Name the problems among the responses of an operation, by status; whatever else may come is a problem, too."""
    responses: dict[str, Any] = operation["responses"]
    for status in [status for status in responses if status.startswith(("4", "5"))]:
        del responses[status]
    for status in sorted({one.status for one in problems}):
        responses[str(status)] = _response(status, [one.name for one in problems if one.status == status])
    responses["default"] = {"description": "An error", "content": _content([])}
    if is_oauth:
        for status, error in (("400", "invalid_request"), ("401", "invalid_client")):
            responses.setdefault(status, {"description": HTTPStatus(int(status)).phrase, "content": {}})
            responses[status]["content"]["application/json"] = {
                "schema": {"$ref": f"#/components/schemas/{OAUTH_SCHEMA}"},
                "example": {"error": error},
            }


def examples_of(problems: list[ProblemType]) -> dict[str, Any]:
    """Return an example of each problem, by its name."""
    return {
        one.name: {
            "summary": one.title,
            "value": {
                "type": TYPE_PREFIX + one.name,
                "title": one.title,
                "status": one.status,
                "detail": one.detail,
                "instance": "/v1/items",
                "request_id": "01981a77-5d3b-7c31-8f3a-2f1f0c1d7a11",
                "errors": [],
            },
        }
        for one in problems
    }


def _by_mark(path: str, handler: HTTPRouteHandler) -> set[type[Problem]]:
    opt: Mapping[str, Any] = handler.opt
    found = {*_ALWAYS, *opt.get(PROBLEMS, ())}
    if opt.get(IS_PUBLIC):
        return found
    is_of_platform = path.startswith("/platform")
    found.update(_BEHIND_A_GATE, (NotFound,) if is_of_platform else _OF_TENANTS)
    if opt.get(CREDENTIAL_ENDPOINT):
        found.update((TooManyAttempts,) if is_of_platform else (TooManyAttempts, TenantRequired))
    elif not opt.get(SIGNED_LINK):
        found.update(_WITH_TOKEN, (InsufficientScope,) if opt[SCOPES] else ())
    found.update((FeatureNotAvailable,) if FEATURE in opt else ())
    return found


def _by_input(path: str, handler: HTTPRouteHandler, operation: Mapping[str, Any]) -> set[type[Problem]]:
    opt: Mapping[str, Any] = handler.opt
    queried = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    found: set[type[Problem]] = set()
    found.update((NotFound,) if "{" in path else ())
    found.update(_BY_WRITING if not opt.get(IS_PUBLIC) and handler.http_methods != {"GET"} else ())
    found.update((Invalid,) if queried else (), (InvalidCursor,) if "cursor" in queried else ())
    if handler.parsed_data_field is not None:
        found.update(_WITH_FORM if opt.get(TAKES_FORM) else _WITH_BODY)
    found.update(_WITH_LINES if TAKES_LINES in opt else ())
    if "precondition" in handler.parsed_fn_signature.parameters:
        found.update(_WITH_PRECONDITION, () if path.startswith("/platform") else (PreconditionRequired,))
    found.update(_WITH_KEY if TAKES_KEY in opt else ())
    return found


def _declaring(problem: type[Problem]) -> type[Problem]:
    """Return the class that declares the type of a problem."""
    return next(one for one in problem.__mro__ if "type" in vars(one))


def _response(status: int, types: list[str]) -> dict[str, Any]:
    named = ", ".join(f"`{one}`" for one in types)
    return {"description": f"{HTTPStatus(status).phrase}: {named}", "content": _content(types)}


def _content(types: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{SCHEMA}"}}
    if types:
        body["examples"] = {one: {"$ref": f"#/components/examples/{one}"} for one in types}
    return {MEDIA_TYPE: body}


OAUTH_SCHEMA = "OAuthError"
_TEXT = {"type": "string"}
SCHEMAS: dict[str, Any] = {
    SCHEMA: {
        "type": "object",
        "title": SCHEMA,
        "description": "An error (RFC 9457)",
        "required": ["type", "title", "status", "detail", "instance", "request_id", "errors"],
        "properties": {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "instance": _TEXT,
            "request_id": _TEXT,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {"pointer": _TEXT, "detail": _TEXT},
                },
            },
            "violated-policies": {
                "type": "array",
                "description": "Of `quota-exceeded` alone: the policies in RateLimit-Policy that have no room",
                "items": _TEXT,
            },
            "limit": {"type": "string", "description": "Of `limit-exceeded` alone: the name of the limit"},
            "allowed": {"type": "integer", "description": "Of `limit-exceeded` alone: how much the tenant may have"},
            "used": {"type": "integer", "description": "Of `limit-exceeded` alone: how much of it is used"},
            "feature": {"type": "string", "description": "Of `feature-not-available` alone: the name of the feature"},
        },
    },
    OAUTH_SCHEMA: {
        "type": "object",
        "title": OAUTH_SCHEMA,
        "description": "An error of an OAuth endpoint (RFC 6749, section 5.2)",
        "required": ["error"],
        "properties": {"error": _TEXT, "error_description": _TEXT},
    },
}
"""The forms of errors."""
