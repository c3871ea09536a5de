"""The words by which a transaction is put on one tenant."""

from dataclasses import replace
from uuid import UUID

import pytest

from leasehold.tenancy.bind import binding_sql
from leasehold.tenancy.context import TenantRef, TenantState
from leasehold.tenancy.entitlements import Entitlements

_ACME = TenantRef(UUID(int=1), "acme", "t_1", "lh_t_1", TenantState.ACTIVE, "0001")


def test_a_transaction_gets_the_path_and_the_role_of_its_tenant_and_no_longer_than_it_lasts() -> None:
    assert binding_sql(_ACME, tenant_roles=True) == 'SET LOCAL search_path = "t_1", pg_temp; SET LOCAL ROLE "lh_t_1"'


def test_without_roles_the_path_alone_separates_tenants() -> None:
    assert binding_sql(_ACME, tenant_roles=False) == 'SET LOCAL search_path = "t_1", pg_temp'


@pytest.mark.parametrize(
    ("limits", "statement_ms", "told"),
    [
        ({}, 5000, "5000"),
        ({"statement_ms": 200}, 5000, "200"),
        ({"statement_ms": 0}, 5000, "0"),
        ({"statement_ms": 10**15}, 5000, "2147483647"),
    ],
)
def test_a_statement_may_take_what_the_plan_says_else_what_the_process_says(
    limits: dict[str, int], statement_ms: int, told: str
) -> None:
    tenant = replace(_ACME, entitlements=Entitlements(limits=limits))
    bound = binding_sql(tenant, tenant_roles=False, statement_ms=statement_ms)
    assert bound == f'SET LOCAL search_path = "t_1", pg_temp; SET LOCAL statement_timeout = {told}'


def test_where_statements_are_not_held_to_a_time_the_plan_says_nothing_either() -> None:
    tenant = replace(_ACME, entitlements=Entitlements(limits={"statement_ms": 200}))
    assert binding_sql(tenant, tenant_roles=False) == 'SET LOCAL search_path = "t_1", pg_temp'


def test_the_slug_has_no_part_in_it() -> None:
    assert "acme" not in binding_sql(_ACME, tenant_roles=True)
