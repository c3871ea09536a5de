"""The root of all refusals that a client may see. Each class carries its own status, problem type and title.

The docstring of a class is the default `detail` of its answer; fields in braces are filled from keyword arguments.
`http.errors` renders them as RFC 9457 problem documents; nothing else does.
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

TYPE_PREFIX = "/docs/problems/"
"""What stands before the `type` of a problem in its document."""

MOST_FAULTS = 100
"""So many faults a problem names at most: a body can have a fault every few bytes."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault in the input: a JSON pointer (RFC 6901) or `?name` of a query parameter, and what is wrong there."""

    pointer: str
    detail: str


class Problem(Exception):
    """The request cannot be carried out."""

    status: ClassVar[int] = 400
    type: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "Bad request"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
        **fields: object,
    ) -> None:
        self.detail = detail or inspect.cleandoc(self.__doc__ or self.title).replace("\n", " ").format(**fields)
        self.errors = tuple(errors[:MOST_FAULTS])
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})
        """Further members of the problem document (RFC 9457, section 3.2), by their name there."""
        super().__init__(self.detail)


class Invalid(Problem):
    """The request is well formed but its content is not acceptable."""

    status = 422
    type = "validation-failed"
    title = "Validation failed"


class NotFound(Problem):
    """There is no such resource."""

    status = 404
    type = "not-found"
    title = "Not found"


class Conflict(Problem):
    """The request conflicts with what is already there."""

    status = 409
    type = "conflict"
    title = "Conflict"


class WrongState(Conflict):
    """This cannot be done in the present state."""

    type = "wrong-state"
    title = "Wrong state"


class UnknownScope(Invalid):
    """There is no scope {scope}; there are: {known}."""

    type = "unknown-scope"
    title = "Unknown scope"

    def __init__(self, scope: str, *, known: Iterable[str]) -> None:
        fault = FieldError("/scopes", f"has {scope}, which is no scope here")
        super().__init__(scope=scope, known=", ".join(sorted(known)), errors=[fault])


class ScopeNotHeld(Invalid):
    """The scope {scope} is not held, so it cannot be given."""

    type = "scope-not-held"
    title = "Scope not held"

    def __init__(self, scope: str) -> None:
        super().__init__(scope=scope, errors=[FieldError("/scopes", f"has {scope}, which is not held")])


class Unauthenticated(Problem):
    """The request carries no valid credential."""

    status = 401
    type = "unauthenticated"
    title = "Authentication required"

    def __init__(self, detail: str | None = None, *, challenge: str = "Bearer") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class InvalidToken(Unauthenticated):
    """The token or key is malformed, expired, revoked or was not issued here."""

    type = "invalid-token"
    title = "Invalid token"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, challenge='Bearer error="invalid_token"')


class Forbidden(Problem):
    """The credential does not allow this."""

    status = 403
    type = "forbidden"
    title = "Forbidden"


class InsufficientScope(Forbidden):
    """The token or key lacks the scope {scope}."""

    type = "insufficient-scope"
    title = "Insufficient scope"

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        super().__init__(scope=scope, headers={"WWW-Authenticate": challenge})


class Unavailable(Problem):
    """The service cannot answer at the moment."""

    status = 503
    type = "unavailable"
    title = "Service unavailable"
    retry_after_s: ClassVar[int] = 1

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": str(self.retry_after_s)})


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or has no connection to spare."""

    type = "database-unavailable"


class OutcomeUnknown(DatabaseUnavailable):
    """The database was lost while it kept what was done; look whether it has, or repeat with the same key."""

    type = "outcome-unknown"
    title = "Outcome unknown"
