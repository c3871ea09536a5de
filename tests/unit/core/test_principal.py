"""Who is asking."""

from uuid import UUID

import pytest

from leasehold.core.actor import Actor
from leasehold.core.errors import InsufficientScope
from leasehold.core.ids import new_id
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


def test_who_acts_as_an_admin_in_a_tenant_is_named_as_the_impersonator() -> None:
    admin_id, tenant_id = new_id(), new_id()
    acting = Principal("admin", admin_id, frozenset(), tenant_id, expires_at=0)
    assert Actor.of(acting, request_id=None).impersonator_id == admin_id
    for other in (
        Principal("admin", admin_id, frozenset(), None, expires_at=0),
        Principal("user", admin_id, frozenset(), tenant_id, expires_at=0),
    ):
        assert Actor.of(other, request_id=None).impersonator_id is None
