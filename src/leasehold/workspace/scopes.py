"""The scopes of the tenant API, and what each role of a tenant's user may do."""

from typing import Literal

Role = Literal["owner", "admin", "member"]

ITEM_SCOPES = frozenset({"items:read", "items:write"})
USER_SCOPES = frozenset({"users:read", "users:write"})
CLIENT_SCOPES = frozenset({"clients:read", "clients:write"})
TENANT_SCOPES = frozenset({"tenant:read", "tenant:write"})
AUDIT_SCOPES = frozenset({"audit:read"})
ALL_SCOPES = ITEM_SCOPES | USER_SCOPES | CLIENT_SCOPES | TENANT_SCOPES | AUDIT_SCOPES

ROLE_SCOPES: dict[Role, frozenset[str]] = {
    "owner": ALL_SCOPES,
    "admin": ALL_SCOPES - {"tenant:write"},
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
