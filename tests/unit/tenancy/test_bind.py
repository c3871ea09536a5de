"""The words by which a transaction is put on one tenant."""

from uuid import UUID

from leasehold.tenancy.bind import binding_sql
from leasehold.tenancy.context import TenantRef, TenantState

_ACME = TenantRef(UUID(int=1), "acme", "t_1", "lh_t_1", TenantState.ACTIVE, "0001")


def test_a_transaction_gets_the_path_and_the_role_of_its_tenant_and_no_longer_than_it_lasts() -> None:
    assert binding_sql(_ACME, tenant_roles=True) == 'SET LOCAL search_path = "t_1", pg_temp; SET LOCAL ROLE "lh_t_1"'


def test_without_roles_the_path_alone_separates_tenants() -> None:
    assert binding_sql(_ACME, tenant_roles=False) == 'SET LOCAL search_path = "t_1", pg_temp'


def test_the_slug_has_no_part_in_it() -> None:
    assert "acme" not in binding_sql(_ACME, tenant_roles=True)
