"""What is refused before a route sees a request, and what no route foresaw."""

from leasehold.core.errors import DatabaseUnavailable, Problem, Unauthenticated


class TenantRequired(Problem):
    """Name the tenant: by its subdomain, by its domain, or in the header X-Tenant."""

    type = "tenant-required"
    title = "Tenant required"


class RepeatedHeader(Problem):
    """The header {name} may be sent once only."""

    type = "repeated-header"
    title = "Repeated header"


class NoCredential(Unauthenticated):
    """Send an access token or an API key in the header Authorization: Bearer."""


class MethodNotAllowed(Problem):
    """The address does not take this method; the header Allow names those that it takes."""

    status = 405
    type = "method-not-allowed"
    title = "Method not allowed"


class BodyTooLarge(Problem):
    """The body is larger than this address takes."""

    status = 413
    type = "body-too-large"
    title = "Body too large"


class BodyTooSlow(Problem):
    """The body did not arrive in time."""

    status = 408
    type = "body-too-slow"
    title = "Body too slow"

    def __init__(self) -> None:
        super().__init__(headers={"Connection": "close"})


class BodyCutOff(Problem):
    """The body ended before all of it had arrived."""

    type = "body-cut-off"
    title = "Body cut off"


class NoRoomForBody(DatabaseUnavailable):
    """There is no room left to keep the body; nothing was done."""


class WrongMediaType(Problem):
    """Send the body as {wanted}."""

    status = 415
    type = "unsupported-media-type"
    title = "Unsupported media type"

    def __init__(self, *, wanted: str = "application/json") -> None:
        super().__init__(wanted=wanted)


class InternalError(Problem):
    """Something went wrong here. The request id helps to find out what."""

    status = 500
    type = "internal-error"
    title = "Internal error"
