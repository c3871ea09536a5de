"""Who is asking."""

from uuid import UUID

import pytest

from leasehold.core.errors import InsufficientScope
from leasehold.core.principal import Principal

_READER = Principal(
    kind="client",
    subject=UUID(int=1),
    scopes=frozenset({"items:read", "users:read"}),
    tenant_id=UUID(int=2),
    expires_at=0,
)


@pytest.mark.parametrize("demanded", [(), ("items:read",), ("items:read", "users:read")])
def test_who_holds_every_scope_passes(demanded: tuple[str, ...]) -> None:
    _READER.demand(*demanded)


@pytest.mark.parametrize(
    ("demanded", "missing"),
    [
        (("items:write",), "items:write"),
        (("items:read", "items:write", "users:write"), "items:write"),
        (("items",), "items"),
        (("",), ""),
    ],
)
def test_the_first_scope_that_is_missing_is_named(demanded: tuple[str, ...], missing: str) -> None:
    with pytest.raises(InsufficientScope, match=f"lacks the scope {missing}[.]"):
        _READER.demand(*demanded)
