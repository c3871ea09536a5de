"""The rules for tables, over the models of both planes: what a fleet of schemas, archives and Citus need."""

import re
from graphlib import TopologicalSorter
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import ARRAY, DateTime, Enum, ForeignKeyConstraint, MetaData, Sequence, String, Table, Text, Uuid
from sqlalchemy.types import TypeEngine

from leasehold.core.models import PLATFORM_SCHEMA, PlatformModel, Rights, TenantModel, table_rights, travels
from leasehold.core.personal import Extent, extent_of
from leasehold.platform.features import PLATFORM_ROUTES
from leasehold.tenancy.rights import PRIVILEGES
from leasehold.workspace.features import V1_ROUTES
from tests.architecture.source import ROOT

assert PLATFORM_ROUTES, "importing them registers the tables of the platform"
assert V1_ROUTES, "importing them registers the tables of a tenant"

_PLANES = [TenantModel.metadata, PlatformModel.metadata]
_TABLES = [pytest.param(table, id=str(table)) for metadata in _PLANES for table in metadata.sorted_tables]
_MIGRATIONS = sorted((ROOT / "migrations").glob("*/versions/*.py"))
_FORBIDDEN_IN_MIGRATIONS = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?(?:TRIGGER|TYPE|EXTENSION|SEQUENCE)\b|\bINHERITS\b"
    r"|\bDEFERRABLE\b|deferrable=|\b(?:BIG|SMALL)?SERIAL\b|sa\.(?:Identity|Sequence|Enum|String|VARCHAR)\("
    r"|postgresql\.ENUM\(|gin_trgm_ops",
    re.IGNORECASE,
)


def _element(kind: TypeEngine[object]) -> TypeEngine[object]:
    return kind.item_type if isinstance(kind, ARRAY) else kind


def _foreign_keys(table: Table) -> list[ForeignKeyConstraint]:
    return [constraint for constraint in table.constraints if isinstance(constraint, ForeignKeyConstraint)]


def test_both_planes_have_their_tables() -> None:
    """Prevents the other tests from passing because they looked at nothing."""
    tenant, platform = TenantModel.metadata.tables, PlatformModel.metadata.tables
    assert {"users", "items", "api_clients", "tenant_secrets"} <= set(tenant)
    assert {"platform.tenants", "platform.admins", "platform.registry_changes"} <= set(platform)


@pytest.mark.parametrize("table", _TABLES)
def test_the_primary_key_is_a_uuid_of_version_7_made_in_python(table: Table) -> None:
    """Prevents ids that two schemas give out twice, that tell how many rows there are, or that scatter over an index.

    A uuid4 sneaks in silently where a library's own base is used without its extra.
    """
    (key,) = table.primary_key.columns
    assert key.name == "id"
    assert isinstance(key.type, Uuid)
    assert key.default is not None
    assert key.default.is_callable
    assert key.default.arg(None).version == 7
    assert key.server_default is None


@pytest.mark.parametrize("table", _TABLES)
def test_text_has_no_length_and_no_type_of_its_own(table: Table) -> None:
    """Prevents prepared statements that break whenever two tenants differ in a column's length or an enum's values."""
    kinds = {column.name: _element(column.type) for column in table.columns}
    assert [name for name, kind in kinds.items() if isinstance(kind, Enum)] == []
    assert [name for name, kind in kinds.items() if isinstance(kind, String) and not isinstance(kind, Text)] == []
    assert [name for name, kind in kinds.items() if isinstance(kind, Text) and kind.length is not None] == []


@pytest.mark.parametrize("table", _TABLES)
def test_no_column_counts(table: Table) -> None:
    """Prevents sequences, whose state an archive does not carry and a distributed schema does not share."""
    counting = [
        column.name
        for column in table.columns
        if column.identity is not None or column.autoincrement is True or isinstance(column.default, Sequence)
    ]
    assert counting == []


@pytest.mark.parametrize("table", _TABLES)
def test_times_know_their_zone(table: Table) -> None:
    """Prevents times that mean another moment on a server in another zone."""
    naive = [c.name for c in table.columns if isinstance(c.type, DateTime) and not c.type.timezone]
    assert naive == []
    misnamed = [c.name for c in table.columns if isinstance(c.type, DateTime) and not c.name.endswith("_at")]
    assert misnamed == []


@pytest.mark.parametrize("table", _TABLES)
def test_every_constraint_and_index_has_a_name_that_fits(table: Table) -> None:
    """Prevents a migration that cannot drop a constraint, because PostgreSQL named it differently in each schema."""
    names = [constraint.name for constraint in table.constraints] + [index.name for index in table.indexes]
    assert [name for name in names if not isinstance(name, str) or not 0 < len(name) <= 63] == []
    assert len(names) == len(set(names))


@pytest.mark.parametrize("table", _TABLES)
def test_foreign_keys_are_checked_at_once(table: Table) -> None:
    """Prevents a violation that shows at the commit, where nobody can say any more which row it was."""
    assert [key.name for key in _foreign_keys(table) if key.deferrable or key.initially] == []


@pytest.mark.parametrize("table", _TABLES)
def test_foreign_keys_stay_in_their_schema(table: Table) -> None:
    """Prevents a tenant that cannot be dropped, moved or archived because something outside points into it."""
    assert {key.referred_table.schema for key in _foreign_keys(table)} <= {table.schema}
    assert {key.referred_table.metadata for key in _foreign_keys(table)} <= {table.metadata}


@pytest.mark.parametrize("table", _TABLES)
def test_the_rights_of_a_table_are_known_ones(table: Table) -> None:
    """Prevents a misspelt right, by which provisioning would fail for every new tenant."""
    assert table_rights(table) in get_args(Rights)
    assert set(table.info) <= {"rights", "extent", "travels"}
    assert extent_of(table) in get_args(Extent)


@pytest.mark.parametrize("table", _TABLES)
def test_what_travels_refers_to_nothing_that_stays(table: Table) -> None:
    """Prevents an archive whose rows refer to rows that it has not, and that nobody can import."""
    staying = [key.referred_table.name for key in _foreign_keys(table) if not travels(key.referred_table)]
    assert not travels(table) or staying == []


@pytest.mark.parametrize("table", _TABLES)
def test_no_index_needs_an_extension(table: Table) -> None:
    """Prevents a schema that cannot be made on a server without contrib, such as the embedded one."""
    options = {index.name: index.dialect_options["postgresql"] for index in table.indexes}
    assert {name: found["ops"] for name, found in options.items() if found["ops"]} == {}
    assert {name for name, found in options.items() if found["using"] not in {False, "btree", "gin", "brin"}} == set()


def test_tables_of_tenants_name_no_schema() -> None:
    """Prevents a query that reaches one fixed schema, whichever tenant its session is bound to."""
    assert {table.schema for table in TenantModel.metadata.tables.values()} == {None}


def test_tables_of_the_platform_name_theirs() -> None:
    """Prevents a query on the platform that finds a table of whichever schema is first in the path."""
    assert {table.schema for table in PlatformModel.metadata.tables.values()} == {PLATFORM_SCHEMA}


@pytest.mark.parametrize("metadata", _PLANES, ids=["tenant", "platform"])
def test_foreign_keys_have_an_order(metadata: MetaData) -> None:
    """Prevents an archive that cannot be loaded: without a cycle each table has all it points to before it."""
    graph = {
        table.name: {key.referred_table.name for key in _foreign_keys(table)} - {table.name}
        for table in metadata.tables.values()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(metadata.tables)


def test_every_right_stands_for_privileges() -> None:
    """Prevents a right that can be declared and then grants nothing."""
    assert set(PRIVILEGES) == set(get_args(Rights))


@pytest.mark.parametrize("migration", _MIGRATIONS, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_migrations_make_nothing_that_the_models_may_not_have(migration: Path) -> None:
    """Prevents triggers, sequences, enums and extensions that come in by hand-written SQL, past the models."""
    assert _FORBIDDEN_IN_MIGRATIONS.findall(migration.read_text()) == []
