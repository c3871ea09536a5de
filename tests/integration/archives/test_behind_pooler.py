"""Exports, imports and copies where every URL leads to a PgBouncer that keeps a server for a transaction alone."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from leasehold.config import Settings
from leasehold.core.ids import new_id
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.owner import OwnerPooled
from tests.archives import exported, imported
from tests.bouncer import bouncing, needs_pgbouncer
from tests.factories import OPERATOR, item, new_slug, parts_of

pytestmark = needs_pgbouncer
_SENTENCE = r"^LEASEHOLD_OWNER_URL leads to a pooler; whoever .* must reach PostgreSQL itself\.$"
_INI = """
[databases]
* = host={host} port={port_of_server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {{port}}
unix_socket_dir =
auth_type = plain
auth_file = {{users}}
pool_mode = transaction
default_pool_size = 1
query_wait_timeout = 8
"""


@pytest.fixture
def behind(settings: Settings) -> Generator[Settings]:
    """The settings of the installation, through a pooler with one server for each login."""
    assert settings.owner_url is not None
    assert settings.direct_url is not None
    urls = [urlsplit(url.get_secret_value()) for url in (settings.direct_url, settings.owner_url)]
    users = "".join(f'"{url.username}" "{url.password}"\n' for url in urls)
    with bouncing(_INI.format(host=urls[0].hostname, port_of_server=urls[0].port), users) as port:
        app, owner = (
            SecretStr(url._replace(netloc=f"{url.username}:{url.password}@127.0.0.1:{port}").geturl()) for url in urls
        )
        yield settings.model_copy(
            update={"database_url": app, "direct_url": None, "owner_url": owner, "prepared_statements": False}
        )


@pytest.fixture
async def pooled(behind: Settings) -> AsyncGenerator[Process]:
    async with parts_of(behind) as made:
        yield made


async def test_a_tenant_goes_out_through_a_pooler_and_whoever_comes_in_must_go_around_it(
    process: Process, pooled: Process, owner: Any, acme: TenantRef, tmp_path: Path
) -> None:
    await item(process, acme, "Desk")
    for name in ("a", "b"):  # what one leaves on the server must not be in the way of the next
        await exported(pooled, acme.slug, tmp_path / name)
    before = await owner.fetchval("SELECT count(*) FROM platform.tenants")
    copying = {"tenant_id": new_id(), "slug": new_slug(), "name": "x", "is_scrubbed": False, "by": OPERATOR}
    for _ in range(2):
        with pytest.raises(OwnerPooled, match=_SENTENCE):
            await imported(pooled, tmp_path / "a", slug=new_slug())
        with pytest.raises(OwnerPooled, match=_SENTENCE):
            await pooled.cloner.clone(acme.id, **copying)
    assert await owner.fetchval("SELECT count(*) FROM platform.tenants") == before
    made = await imported(process, tmp_path / "b", slug=new_slug())
    assert await owner.fetchval(f'SELECT title FROM "t_{made.id.hex}".items') == "Desk"
