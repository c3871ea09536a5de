"""Who acts: the value that every method which changes something is given as `by`, and that its audit event names."""

from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from leasehold.core.principal import Principal

ActorKind = Literal["user", "client", "key", "admin", "operator", "system", "anonymous"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and in answer to what. A request, a command and a job each make one, and hand it down."""

    kind: ActorKind
    id: UUID | None = None
    """The user, client, key or admin; None for who has no row."""
    impersonator_id: UUID | None = None
    """The admin of the platform who acts in a tenant."""
    request_id: str | None = None
    reason: str | None = None
    """The command or the job that acts; None in a request."""
    principal: Principal | None = None
    """What a token allows; None where no token limits who acts."""

    @classmethod
    def of(cls, principal: Principal, *, request_id: str | None) -> "Actor":
        """Return the subject of a request's token."""
        return cls(
            principal.kind,
            principal.subject,
            impersonator_id=principal.subject if principal.is_impersonation else None,
            request_id=request_id,
            principal=principal,
        )

    @classmethod
    def anonymous(cls, *, request_id: str | None) -> "Actor":
        """Return somebody who has not proved who they are, as at a login."""
        return cls("anonymous", request_id=request_id)

    @classmethod
    def operator(cls, reason: str) -> "Actor":
        """Return whoever holds the installation's secrets, at the command line."""
        return cls("operator", reason=reason)

    @classmethod
    def system(cls, reason: str) -> "Actor":
        """Return the installation itself, in a job."""
        return cls("system", reason=reason)

    def proven(self, kind: ActorKind, subject: UUID) -> "Actor":
        """Return who they have turned out to be."""
        return replace(self, kind=kind, id=subject)

    def demand(self, *scopes: str) -> None:
        """Pass if every scope is held, or no token says which are.

        Raises:
            InsufficientScope: names the first that is missing.
        """
        if self.principal is not None:
            self.principal.demand(*scopes)
