"""`leasehold db init`: roles and rights on a server whose administrator is no superuser."""

from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from leasehold.embedded import EmbeddedPostgres
from leasehold.tenancy.install import with_login
from tests.integration.cli.shell import FAST, free_port, leasehold, refusal_of, settings_of, succeeded


@pytest.fixture
def managed(tmp_path: Path) -> Generator[str]:
    """A server as a provider hands it out, where nothing of ours was ever made."""
    with EmbeddedPostgres(tmp_path, parameters=FAST) as url:
        with psycopg.connect(url, autocommit=True) as superuser:
            superuser.execute("CREATE ROLE ops LOGIN CREATEROLE CREATEDB PASSWORD 'ops'")
            superuser.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        yield url


def login(url: str, name: str) -> str:
    return with_login(url, user=name, password=name, database="postgres")


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_an_administrator_without_superuser_prepares_everything_and_may_do_so_again(managed: str) -> None:
    first = settings_of(succeeded(leasehold("db", "init", "--admin-url", login(managed, "ops"))))
    assert set(first) == {
        "LEASEHOLD_DATABASE_URL",
        "LEASEHOLD_DIRECT_URL",
        "LEASEHOLD_OWNER_URL",
        "LEASEHOLD_INSTALLATION_KEY",
    }
    again = settings_of(succeeded(leasehold("db", "init", "--admin-url", login(managed, "ops"))))
    assert set(again) == {"LEASEHOLD_DATABASE_URL", "LEASEHOLD_DIRECT_URL", "LEASEHOLD_OWNER_URL"}
    for name, url in again.items():
        assert ":PASSWORD-AS-BEFORE@" in url
        assert url.partition("@")[2] == first[name].partition("@")[2]

    succeeded(leasehold("migrate", "all", env=first))
    succeeded(leasehold("tenants", "create", "initech", env=first))
    succeeded(leasehold("tenants", "create", "hooli", env=first))
    client = settings_of(succeeded(leasehold("clients", "create", "initech", env=first)))
    assert set(client) == {"client_id", "client_secret"}
    attributes = rows(
        managed,
        "SELECT rolname, rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles"
        " WHERE rolname IN ('lh_owner', 'lh_app', 'lh_tenant') ORDER BY rolname",
    )
    assert attributes == [
        ("lh_app", True, False, False, False, False),
        ("lh_owner", True, False, True, False, False),
        ("lh_tenant", False, False, False, False, False),
    ]
    app = first["LEASEHOLD_DATABASE_URL"]
    assert rows(app, "SELECT count(*) FROM platform.tenants") == [(2,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(app, "CREATE TEMPORARY TABLE items ()")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(app, "CREATE TABLE public.items ()")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(login(managed, "plain").rpartition("/")[0] + "/leasehold")


def test_new_passwords_are_made_on_demand_and_the_old_ones_end(managed: str) -> None:
    admin = login(managed, "ops")
    before = settings_of(succeeded(leasehold("db", "init", "--admin-url", admin, "--new-passwords")))
    after = settings_of(succeeded(leasehold("db", "init", "--admin-url", admin, "--new-passwords")))
    for name in ("LEASEHOLD_DATABASE_URL", "LEASEHOLD_OWNER_URL"):
        assert rows(after[name], "SELECT 1") == [(1,)]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(before[name])


def test_a_login_that_may_not_create_roles_is_told_so_and_nothing_is_made(managed: str) -> None:
    before = rows(managed, "SELECT rolname FROM pg_roles ORDER BY 1")
    refused = leasehold("db", "init", "--admin-url", login(managed, "plain"), "--database", "never")
    assert "CREATEROLE and CREATEDB" in refusal_of(refused)
    assert rows(managed, "SELECT rolname FROM pg_roles ORDER BY 1") == before
    assert rows(managed, "SELECT datname FROM pg_database WHERE datname = 'never'") == []


@pytest.mark.parametrize("url", ["nonsense", "postgresql://root:hidden@127.0.0.1:{closed}/x"])
def test_an_admin_url_that_leads_nowhere_is_one_sentence_without_the_password(url: str) -> None:
    refused = leasehold("db", "init", "--admin-url", url.format(closed=free_port()))
    refusal_of(refused)
    assert "hidden" not in refused.stderr
