"""Who is asking. The two planes meet here and in `TenantRef`, and nowhere else."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from leasehold.core.errors import InsufficientScope


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated subject of a request: a user, client or API key of one tenant, or an admin of the platform."""

    kind: Literal["user", "client", "key", "admin"]
    subject: UUID
    scopes: frozenset[str]
    tenant_id: UUID | None
    """The immutable id of the tenant that the credential belongs to; None for an admin of the platform."""
    expires_at: int
    """Unix seconds after which the credential is void."""
    session_id: UUID | None = None
    """The log-in of a user or admin, or the impersonation, whose end is the credential's; None where there is none."""

    @property
    def is_impersonation(self) -> bool:
        """Whether an admin of the platform acts in a tenant."""
        return self.kind == "admin" and self.tenant_id is not None

    def demand(self, *scopes: str) -> None:
        """Pass if every scope is held.

        Raises:
            InsufficientScope: names the first that is missing.
        """
        for scope in scopes:
            if scope not in self.scopes:
                raise InsufficientScope(scope)
