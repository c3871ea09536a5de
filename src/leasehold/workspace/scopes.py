"""The scopes of the tenant API, what each role of a tenant's user may do, and who may hand which of them on."""

from collections.abc import Sequence
from typing import Literal

from leasehold.core.actor import Actor
from leasehold.core.errors import UnknownScope

Role = Literal["owner", "admin", "member"]

ITEM_SCOPES = frozenset({"items:read", "items:write"})
USER_SCOPES = frozenset({"users:read", "users:write"})
CLIENT_SCOPES = frozenset({"clients:read", "clients:write"})
KEY_SCOPES = frozenset({"keys:read", "keys:write"})
TENANT_SCOPES = frozenset({"tenant:read", "tenant:write", "tenant:export"})
AUDIT_SCOPES = frozenset({"audit:read"})
ALL_SCOPES = frozenset[str]().union(
    ITEM_SCOPES,
    USER_SCOPES,
    CLIENT_SCOPES,
    KEY_SCOPES,
    TENANT_SCOPES,
    AUDIT_SCOPES,
)
IMPERSONATION_SCOPES = ALL_SCOPES - {"users:write", "clients:write", "keys:write", "tenant:write", "tenant:export"}
"""What an admin of the platform may do in a tenant: nothing by which they would stay, let somebody in, or take all."""

ROLE_SCOPES: dict[Role, frozenset[str]] = {
    "owner": ALL_SCOPES,
    "admin": ALL_SCOPES - {"tenant:write", "tenant:export"},
    "member": ITEM_SCOPES | {"users:read", "tenant:read"},
}


def as_role(text: str) -> Role:
    """Return a text from the database as the role that it names.

    Raises:
        ValueError: it names none.
    """
    for role in ROLE_SCOPES:
        if role == text:
            return role
    raise ValueError(f"the database holds an unknown role: {text}")


def grantable(scopes: Sequence[str], *, by: Actor) -> list[str]:
    """Return scopes that `by` may give to another credential, sorted and each once.

    Raises:
        UnknownScope: one of them does not exist.
        InsufficientScope: `by` does not hold one of them.
    """
    for scope in scopes:
        if scope not in ALL_SCOPES:
            raise UnknownScope(scope, known=ALL_SCOPES)
    wanted = sorted(set(scopes))
    by.demand(*wanted)
    return wanted
