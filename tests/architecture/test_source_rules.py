"""Rules that every file keeps, each with what goes wrong otherwise, and with a proof that the rule would notice."""

import re
import statistics
from pathlib import Path

import pytest

from tests.architecture import source
from tests.architecture.source import PACKAGE, ROOT, breaches, python_files

_MAX_LINES = 400
_BARE_EXCUSE = re.compile(r"# noqa: S[0-9]+(?:, S[0-9]+)*\s*$")


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_file_is_longer_than_a_sitting() -> None:
    """Prevents the 4,000-line service in which nobody sees any more whose data a line touches."""
    files = [path for folder in ("src", "tests", "benchmarks") for path in python_files(ROOT / folder)]
    assert {str(path.relative_to(ROOT)): _lines(path) for path in files if _lines(path) > _MAX_LINES} == {}
    assert len(files) > 100


def test_the_median_file_is_small() -> None:
    """Prevents the slow growth of all files at once, which no limit on the longest one notices."""
    assert statistics.median(_lines(path) for path in python_files(PACKAGE)) < 90


def test_nothing_is_imported_inside_a_function() -> None:
    """Prevents cycles between planes that are hidden in functions and break at the first request, not at start."""
    assert breaches(source.local_imports) == []


def test_statements_are_built_in_repositories_and_in_the_kernel_alone() -> None:
    """Prevents a query in a route or service that runs on a session which nobody bound to a tenant."""
    assert (
        breaches(
            source.statements_built,
            allowed=lambda file: (
                file.endswith(("/repository.py", "core/reads.py", "core/listing/listing.py"))
                or file.startswith("tenancy/")
            ),
        )
        == []
    )


def test_sessions_are_built_in_two_places_alone() -> None:
    """Prevents a session without a tenant, whose queries would run on whatever path the connection has."""
    assert (
        breaches(
            source.sessions_built,
            allowed=lambda file: file in {"core/database.py", "tenancy/bind/session.py", "tenancy/bind/reader.py"},
        )
        == []
    )


def test_connections_on_the_driver_are_opened_in_the_kernel_and_for_installing_alone() -> None:
    """Prevents connections outside the pool's budget and outside the binding, which no isolation test would see."""
    assert (
        breaches(
            source.driver_connections,
            allowed=lambda file: file.startswith(("tenancy/", "embedded/")) or file == "cli/installation.py",
        )
        == []
    )


def test_connections_on_the_driver_name_a_class_that_notices_when_the_other_end_is_gone() -> None:
    """Prevents a query that waits for a quarter of an hour for a machine that has lost its power."""
    assert breaches(source.unwatched_connections) == []


def test_only_the_command_line_reads_the_environment() -> None:
    """Prevents settings that differ between two parts of one process, and tests that must set the environment first.

    The embedded server may hand PATH on to the programs that it starts.
    """
    assert (
        breaches(
            source.environment_reads,
            allowed=lambda file: file.startswith("cli/") or file == "embedded/account.py",
        )
        == []
    )


def test_nothing_is_made_at_import() -> None:
    """Prevents an import that needs a complete environment: migrations, tests and tools import us without one."""
    assert breaches(source.made_at_import) == []


def test_nothing_is_printed() -> None:
    """Prevents lines in the output that are no log event, and secrets that reach a terminal past the log's rules."""
    assert breaches(source.prints) == []


def test_the_type_checker_is_silenced_by_name_alone() -> None:
    """Prevents a silenced complaint from hiding the next one on its line, such as a reader handed to a writer."""
    assert breaches(source.bare_ignores) == []


def test_no_cache_is_keyed_without_the_tenant() -> None:
    """Prevents the answer for one tenant from being served to another: both frameworks' caches know no tenant."""
    assert breaches(source.caches_used) == []


def test_no_query_reads_whatever_columns_there_are() -> None:
    """Prevents failures while a fleet is half migrated and two tenants have different columns."""
    assert breaches(source.star_selects) == []


@pytest.mark.parametrize(
    ("rule", "violation"),
    [
        (source.local_imports, "def f():\n    import os"),
        (source.local_imports, "class C:\n    async def f(self):\n        from os import path"),
        (source.statements_built, "from sqlalchemy import select\nselect(1)"),
        (source.statements_built, "from sqlalchemy import delete as remove\nremove(1)"),
        (source.statements_built, "from sqlalchemy.dialects.postgresql import insert\ninsert(1)"),
        (source.statements_built, "import sqlalchemy as sa\nsa.update(1)"),
        (source.sessions_built, "from sqlalchemy.ext.asyncio import AsyncSession\nAsyncSession(engine)"),
        (source.sessions_built, "import x\nx.TenantSession(engine)"),
        (source.sessions_built, "import x\nasync_sessionmaker(engine)"),
        (source.driver_connections, "import asyncpg\nasyncpg.connect(url)"),
        (source.driver_connections, "from asyncpg import create_pool as pool\npool(url)"),
        (source.unwatched_connections, "import asyncpg\nasyncpg.connect(url, timeout=5)"),
        (source.environment_reads, "import os\nos.environ['A']"),
        (source.environment_reads, "\nfrom os import getenv"),
        (source.made_at_import, "from x import Settings\nsettings = Settings()"),
        (source.made_at_import, "from x import y\ndef f(settings=y.Settings()): ..."),
        (source.made_at_import, "class C:\n    app = create_app()"),
        (source.prints, "x = 1\nprint(x)"),
        (source.bare_ignores, "x = 1\ny = x  # type: ignore"),
        (source.bare_ignores, "x = 1\ny = x  # pyright: ignore  # because"),
        (source.caches_used, "from litestar import get\n@get('/', cache=60)\ndef f(): ..."),
        (source.caches_used, "x = 1\nfrom advanced_alchemy.cache import CacheManager"),
        (source.caches_used, "x = 1\nsession.info['cache_manager'] = manager"),
        (source.star_selects, "x = 1\nsql = 'SELECT * FROM items'"),
        (source.star_selects, "x = 1\nsql = f'select i.* FROM {x}'"),
    ],
)
def test_a_rule_notices_its_violation(rule: source.Rule, violation: str) -> None:
    """Prevents a rule that passes because it looks at nothing."""
    lines = {2, 3} if violation.startswith("class C:\n    async") else {2}
    assert set(rule(violation)) <= lines
    assert len(rule(violation)) == 1


@pytest.mark.parametrize(
    ("rule", "harmless"),
    [
        (source.local_imports, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os"),
        (source.statements_built, "from litestar import delete\ndelete('/')"),
        (source.statements_built, "names = set()\nnames.update(x)"),
        (source.driver_connections, "from leasehold.tenancy.install import connect\nconnect(url)"),
        (source.unwatched_connections, "import asyncpg\nasyncpg.connect(url, connection_class=LivelyConnection)"),
        (source.made_at_import, "def f():\n    return Settings()"),
        (source.made_at_import, "make = lambda: create_app()"),
        (source.prints, "console.print(1)"),
        (source.bare_ignores, "x = y  # type: ignore[arg-type]\ntext = '# type: ignore'"),
        (source.caches_used, "connect_args = {'statement_cache_size': 0}"),
        (source.star_selects, "sql = 'SELECT count(*) FROM items'"),
    ],
)
def test_a_rule_lets_harmless_code_pass(rule: source.Rule, harmless: str) -> None:
    """Prevents rules that people learn to work around, because they forbid what does no harm."""
    assert rule(harmless) == []


def _without_reason(text: str) -> list[int]:
    """Find lines that are excused from a rule of security, and do not say why."""
    return [number for number, line in enumerate(text.splitlines(), start=1) if _BARE_EXCUSE.search(line)]


def test_every_excuse_from_a_rule_of_security_says_why() -> None:
    """Prevents a shell, a weak hash or a guessable number that nobody ever thought about."""
    for folder in ("src", "migrations", "scaffold"):
        for path in python_files(ROOT / folder):
            assert _without_reason(path.read_text()) == [], path
    assert _without_reason("run(x)  # noqa: S602  # typed in by us\nrun(x, shell=True)  # noqa: S602\n") == [2]
