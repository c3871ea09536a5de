"""Every operation is asked for what its description allows, and for what it does not: no answer is an error of ours.

`just fuzz` does it for longer. What is made up follows from a seed, so a run that fails can be repeated.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from leasehold.config import Settings
from leasehold.main import build_process, running
from tests.conftest import installed, migrate
from tests.factories import admin, bearer, new_slug, provisioned
from tests.faults.serving import served

IS_LONG = bool(os.environ.get("LEASEHOLD_TEST_LONG"))
EXAMPLES = 500 if IS_LONG else 5
# What a description allows is never malformed. It may be refused all the same: for a name that is taken, a scope that
# is not held, a tag that is stale, a rule between two fields. Of a header the fuzzer makes up letters and digits alone,
# whatever its pattern says, and those are no entity tag.
_CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412", "422", "428", "429"]
[parameters]
"header.If-Match" = "*"
"""
_LEFT_OUT = (
    # They would take away the very credential by which everything else is asked for.
    *("deleteClient", "updateClient", "rotateClient", "updateAdmin", "revokeOwnToken", "revokeAdminsToken"),
    # Its body is lines of JSON, which cannot be made up from a document of OpenAPI 3.1.
    "importItems",
    # A wrong line is not refused but answered for itself.
    *("createItems", "updateItems"),
)


@pytest.fixture(scope="module")
def own(admin_url: str, worker_id: str) -> Generator[Settings]:
    """An installation of its own: what the tests of others keep would be suspended and deleted."""
    with installed(admin_url, f"leasehold_fuzz_{worker_id}_{new_slug()[2:]}") as made:
        migrate(made)
        yield made


@pytest.mark.parametrize(
    ("plane", "paths"),
    [("tenant", "^/v1/(?!auth|me)"), ("platform", "^/platform/v1/(?!auth)")],
    ids=["tenant", "platform"],
)
async def test_nothing_that_is_made_up_finds_an_error_of_ours(
    own: Settings, tmp_path: Path, plane: str, paths: str
) -> None:
    (tmp_path / "schemathesis.toml").write_text(_CONFIG)
    process = build_process(own)
    async with running(process):
        acme = await provisioned(process)
        headers = await (bearer(process, acme) if plane == "tenant" else admin(process))
    async with served(own) as address:
        host = own.base_domain
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"),
            *("--header", f"Authorization: {headers['Authorization']}", "--header", f"Host: {host}"),
            *("--include-path-regex", paths),
            *(part for operation in _LEFT_OUT for part in ("--exclude-operation-id", operation)),
            *("--checks", "all"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)),
            *("--seed", "1", "--workers", "1", "--no-color", "--request-timeout", "60"),
        ]
        ran = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=3000
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
