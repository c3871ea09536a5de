"""A client that is generated from the OpenAPI document works at first try. It is generated afresh, never committed."""

import importlib
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from leasehold.cli.reference import openapi_document
from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer
from tests.faults.serving import served

PACKAGE = "leasehold_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the client's package, from which it can be imported."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(json.dumps(openapi_document()))
    (folder / "config.yml").write_text("post_hooks: []\n")
    command = [
        "generate",
        "--path",
        "openapi.json",
        "--config",
        "config.yml",
        "--meta",
        "none",
        "--output-path",
        PACKAGE,
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *command],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # What it leaves out are lines of JSON, for which a document of OpenAPI 3.1 has no words.
    warned = [line for line in ran.stdout.splitlines() if line.startswith("WARNING")]
    assert [line for line in warned if "/export" not in line and "/import" not in line] == []
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
async def client(generated: Path, settings: Settings, process: Process, acme: TenantRef) -> AsyncGenerator[Any]:
    """A client of a tenant, of a server that runs."""
    async with served(settings) as address:
        token = (await bearer(process, acme))["Authorization"].removeprefix("Bearer ")
        made = module("client").AuthenticatedClient(
            base_url=address, token=token, headers={"X-Tenant": acme.slug}, raise_on_unexpected_status=True
        )
        async with made:
            yield made


async def test_it_creates_changes_and_pages_items(client: Any) -> None:
    items, models = "api.items", module("models")
    made = [
        await module(f"{items}.create_item").asyncio(client=client, body=models.ItemCreate(title=f"Desk {n}"))
        for n in range(5)
    ]
    assert [item.title for item in made] == [f"Desk {n}" for n in range(5)]
    assert isinstance(made[0], models.Item)
    changed = await module(f"{items}.update_item").asyncio(
        made[0].id, client=client, body=models.ItemPatch(title="Table", tags=["oak"])
    )
    assert (changed.title, changed.tags, changed.version) == ("Table", ["oak"], 2)
    found, cursor = [], module("types").UNSET
    while True:
        page = await module(f"{items}.list_items").asyncio(client=client, limit=2, cursor=cursor)
        found += [item.title for item in page.items]
        if not page.has_more:
            break
        cursor = page.next_cursor
    assert found == ["Table", "Desk 1", "Desk 2", "Desk 3", "Desk 4"]


async def test_its_refusals_are_problem_documents(client: Any) -> None:
    models = module("models")
    refused = await module("api.items.create_item").asyncio(client=client, body=models.ItemCreate(title=""))
    assert isinstance(refused, models.ProblemDocument)
    assert (refused.status, refused.type_) == (422, "/docs/problems/validation-failed")
    assert [error.pointer for error in refused.errors] == ["/title"]
