"""`leasehold tenants top`: a table for people, JSON for programs, by the service of the API."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from leasehold.core.ids import new_id
from tests.integration.cli.shell import Environment, leasehold, succeeded

_USED = """
INSERT INTO platform.tenant_usage (id, tenant_id, starts_at, requests, refused, errors, database_us, received_bytes,
                                   sent_bytes)
SELECT %s, id, %s, %s, %s, %s, %s, %s, %s FROM platform.tenants WHERE slug = %s
"""
_KEPT = """
INSERT INTO platform.tenant_sizes (id, tenant_id, starts_at, measured_at, rows, bytes)
SELECT %s, id, %s, %s, %s, %s FROM platform.tenants WHERE slug = %s
"""


@pytest.fixture(scope="session")
def env(new_database: Callable[[str], Environment], provision: Callable[..., None]) -> Environment:
    """An installation with three tenants, of which one has done nothing yet."""
    made = new_database("top")
    provision(made, "acme", "globex", "initech")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with psycopg.connect(made["LEASEHOLD_DATABASE_URL"]) as connection:
        for ago, numbers, slug in (
            (0, (1000, 5, 0, 1_500_000, 2048, 0), "acme"),
            (3, (234, 0, 0, 0, 0, 0), "acme"),
            (2, (20, 0, 7, 9_000_000, 0, 3 * 1024 * 1024), "globex"),
            (48, (99_000, 0, 0, 0, 0, 0), "globex"),
        ):
            connection.execute(_USED, [new_id(), hour - timedelta(hours=ago), *numbers, slug])
        for ago, rows, size, slug in ((1, 9, 900_000, "acme"), (0, 12, 8192, "acme"), (9, 5, 1000, "initech")):
            day = hour.replace(hour=0) - timedelta(days=ago)
            connection.execute(_KEPT, [new_id(), day, day, rows, size, slug])
    return made


def top(env: Environment, *options: str) -> list[str]:
    """Return the slugs of the table, from the top."""
    return [line.split()[0] for line in succeeded(leasehold("tenants", "top", *options, env=env)).splitlines()[1:]]


def test_a_table_shows_who_asked_most_in_a_day(env: Environment) -> None:
    assert succeeded(leasehold("tenants", "top", env=env)) == (
        "tenant  requests  refused  errors  database s  traffic  rows    bytes\n"
        "acme       1,234        5       0        1.50  2.0 KiB    12  8.0 KiB\n"
        "globex        20        0       7        9.00  3.0 MiB     -        -\n"
    )


@pytest.mark.parametrize(
    ("options", "slugs"),
    [
        (("--by", "errors"), ["globex"]),
        (("--by", "db"), ["globex", "acme"]),
        (("--by", "traffic"), ["globex", "acme"]),
        (("--by", "bytes"), ["acme", "initech"]),
        (("--since", "7d"), ["globex", "acme"]),
        (("--since", "1h"), ["acme"]),
        (("--limit", "1"), ["acme"]),
    ],
)
def test_tenants_are_compared_by_what_the_options_name(
    env: Environment, options: tuple[str, ...], slugs: list[str]
) -> None:
    assert top(env, *options) == slugs


def test_programs_get_the_numbers_as_they_are(env: Environment) -> None:
    [acme] = json.loads(succeeded(leasehold("tenants", "top", "--limit", "1", "--json", env=env)))
    assert acme.pop("tenant_id").count("-") == 4
    assert acme.pop("measured_at").endswith("T00:00:00Z")
    assert acme == {
        "slug": "acme",
        "requests": 1234,
        "refused": 5,
        "errors": 0,
        "database_seconds": 1.5,
        "received_bytes": 2048,
        "sent_bytes": 0,
        "rows": 12,
        "bytes": 8192,
    }


def test_an_installation_without_traffic_says_so(new_database: Callable[[str], Environment]) -> None:
    untouched = new_database("untouched")
    assert succeeded(leasehold("tenants", "top", env=untouched)) == "No tenant has used any of it.\n"
    assert json.loads(succeeded(leasehold("tenants", "top", "--json", env=untouched))) == []


@pytest.mark.parametrize("options", [("--since", "0h"), ("--since", "1w"), ("--since", "401d"), ("--by", "x")])
def test_options_that_make_no_sense_are_refused(env: Environment, options: tuple[str, ...]) -> None:
    refused = leasehold("tenants", "top", *options, env=env)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Traceback" not in refused.stderr
