"""Which columns a rule of the database is about."""

import pytest
from sqlalchemy import Table

# They register the tables of both planes.
import leasehold.platform.features
import leasehold.workspace.features  # noqa: F401
from leasehold.core.constraints import columns_of
from leasehold.core.models import PlatformModel, TenantModel


@pytest.mark.parametrize(
    ("schema", "table", "rule", "columns"),
    [
        ("t_1", "users", "uq_users_email", ("email",)),
        ("t_1", "users", "ck_users_email_lower_case", ("email",)),
        ("t_1", "items", "ck_items_title_length", ("title",)),
        ("t_1", "items", "fk_items_owner_id", ("owner_id",)),
        ("t_1", "items", "pk_items", ("id",)),
        ("t_1", "items", "ix_items_search", ("title", "description")),
        ("t_1", "api_keys", "ck_api_keys_one_owner", ("user_id", "client_id")),
        ("t_1", "confirmations", "uq_confirmations_user_id_purpose", ("user_id", "purpose")),
        ("platform", "tenants", "uq_tenants_slug", ("slug",)),
        ("platform", "tenants", "ck_tenants_state", ("state",)),
        ("platform", "jobs", "uq_jobs_dedupe_key", ("lane", "name", "dedupe_key")),
    ],
)
def test_the_models_say_what_a_rule_is_about(schema: str, table: str, rule: str, columns: tuple[str, ...]) -> None:
    assert columns_of(schema, table, rule) == columns


@pytest.mark.parametrize(
    ("rule", "columns"),
    [
        ("uq_items_title", ("title",)),
        ("uq_items_owner_id_title", ("owner_id", "title")),
        ("uq_items_title_owner_id", ("title", "owner_id")),
        ("ck_items_title_has_no_blank", ("title",)),
        ("ck_items_titles", ()),
        ("ck_items_at_most", ()),
        ("uq_users_email", ()),
        ("items_title_key", ()),
    ],
)
def test_the_name_of_a_rule_that_no_model_has_says_it(rule: str, columns: tuple[str, ...]) -> None:
    assert columns_of("t_1", "items", rule) == columns


@pytest.mark.parametrize(
    ("schema", "table", "rule"),
    [
        ("t_1", "nothing", "uq_nothing_name"),
        ("platform", "items", "ck_items_title_length"),
        ("t_1", "tenants", "uq_tenants_slug"),
        ("t_1", "items", None),
        ("t_1", None, "uq_items_title"),
        (None, None, None),
    ],
)
def test_of_what_is_not_known_nothing_is_said(schema: str | None, table: str | None, rule: str | None) -> None:
    assert columns_of(schema, table, rule) == ()


@pytest.mark.parametrize(
    "table",
    [*PlatformModel.metadata.tables.values(), *TenantModel.metadata.tables.values()],
    ids=lambda table: str(table.fullname),
)
def test_every_rule_of_every_table_is_about_a_column(table: Table) -> None:
    for rule in (*table.constraints, *table.indexes):
        assert columns_of(table.schema, table.name, str(rule.name)), rule.name
