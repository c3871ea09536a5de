"""All that a tenant has, for the tenant itself: asked for, made by a worker, fetched by a link."""

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import text

from leasehold.core.database import platform_session
from leasehold.core.line import TooManyAtOnce
from leasehold.core.models import TenantModel
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import GivenUp, NoArguments
from leasehold.workspace.exports import jobs, writing
from leasehold.workspace.exports.jobs import forget_exports
from leasehold.workspace.exports.repository import Snapshot
from leasehold.workspace.exports.service import PATH
from tests.api.problems import on, refusal_of
from tests.audit import events_of
from tests.factories import OPERATOR, api_key, bearer, item, lifecycle, provisioned
from tests.people import Mailbox, user

SECRETS = {"password_hash", "secret_digest", "previous_secret_digest", "digest", "previous_digest", "wrapped"}


@pytest.fixture
async def tenant(process: Process) -> TenantRef:
    return await provisioned(process)


@pytest.fixture
def worker(process: Process, tmp_path: Path) -> Mailbox:
    return Mailbox(process, tmp_path)


def signed(process: Process, tenant: TenantRef, path: str, *, in_s: int = 60) -> str:
    return process.signed_links.to(path, tenant_id=tenant.id, expires_at=int(time.time()) + in_s)


async def made(http: httpx.AsyncClient, process: Process, worker: Mailbox, tenant: TenantRef) -> dict[str, Any]:
    """Ask for an export, let a worker make it, and return it as it is then."""
    headers = await bearer(process, tenant)
    asked = await http.post(PATH, headers=headers)
    assert asked.status_code == 202, asked.text
    await worker.deliver(tenant)
    return dict((await http.get(f"{PATH}/{asked.json()['id']}", headers=headers)).json())


def tables_in(file: bytes) -> dict[str, list[dict[str, Any]]]:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert archive.testzip() is None
        return {
            name.removesuffix(".ndjson"): [json.loads(line) for line in archive.read(name).decode().split("\n")[:-1]]
            for name in archive.namelist()
            if name.endswith(".ndjson")
        }


async def test_an_export_has_all_rows_as_lines_of_json_and_no_secret(
    http: httpx.AsyncClient, process: Process, worker: Mailbox, tenant: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_BATCH", 2)
    monkeypatch.setattr(writing, "_CHUNK_BYTES", 100)
    await user(process, tenant, "ann@acme.example", "owner")
    key = await api_key(process, tenant)
    titles = ["Desk\n\\n\u2028", 'The "chair"', "Läufer 🧶"]
    items = [await item(process, tenant, title) for title in titles]

    export = await made(http, process, worker, tenant)
    answer = await http.get(export["download_url"])

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{tenant.slug}.zip"'
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) == export["size_bytes"]
    tables = tables_in(answer.content)
    assert [(row["id"], row["title"]) for row in tables["items"]] == [
        (str(one.id), title) for one, title in zip(items, titles, strict=True)
    ]
    assert [row["email"] for row in tables["users"]] == ["ann@acme.example"]
    assert [row["id"] for row in tables["api_keys"]] == [str(key.id)]
    assert {"tenant.provisioned", "export.requested"} <= {row["action"] for row in tables["audit_events"]}
    assert set(tables) == {
        "users",
        "api_clients",
        "api_keys",
        "audit_events",
        "invitations",
        "items",
        "tenant_settings",
        "user_sessions",
    }
    assert [name for rows in tables.values() for row in rows for name in row if name in SECRETS] == []
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        readme = archive.read("README.txt").decode()
    assert f"All that the tenant {tenant.slug} has" in readme
    assert "items.ndjson: 3 rows. Something that a tenant keeps." in readme
    assert events_of(process.settings, tenant)[-1]["action"] == "export.made"


@pytest.mark.not_pooled("writes while another transaction looks")
async def test_what_is_written_behind_the_first_look_is_not_in_an_export(process: Process, tenant: TenantRef) -> None:
    items = TenantModel.metadata.tables["items"]
    async with open_tenant_session(process.database, tenant) as session:
        snapshot = Snapshot(session)
        await snapshot.begin()
        await item(process, tenant)
        assert await snapshot.lines(items, [items.c.id], behind=None, limit=10) == ([], None)
    async with open_tenant_session(process.database, tenant) as session:
        snapshot = Snapshot(session)
        await snapshot.begin()
        assert len((await snapshot.lines(items, [items.c.id], behind=None, limit=10))[0]) == 1


async def test_one_export_is_made_at_a_time_and_takes_the_place_of_the_one_before(
    http: httpx.AsyncClient, process: Process, worker: Mailbox, tenant: TenantRef
) -> None:
    first = await made(http, process, worker, tenant)
    headers = await bearer(process, tenant)
    second = (await http.post(PATH, headers=headers)).json()
    refused = await http.post(PATH, headers=headers)
    assert refusal_of(refused) == (409, "export-under-way")
    assert (second["state"], second["download_url"]) == ("waiting", None)
    link = signed(process, tenant, f"{PATH}/{second['id']}/download")
    assert refusal_of(await http.get(link)) == (409, "export-not-ready")
    assert (await http.get(first["download_url"])).status_code == 200

    await worker.deliver(tenant)
    assert (await http.get(f"{PATH}/{second['id']}", headers=headers)).json()["state"] == "ready"
    assert (await http.get(first["download_url"])).status_code == 404


async def test_a_link_is_refused_that_was_altered_is_over_or_is_another_tenants(
    http: httpx.AsyncClient, process: Process, worker: Mailbox, tenant: TenantRef, globex: TenantRef
) -> None:
    export = await made(http, process, worker, tenant)
    path, query = urlsplit(export["download_url"]).path, urlsplit(export["download_url"]).query
    fields = dict(parse_qsl(query))
    theirs = await made(http, process, worker, globex)
    altered = [
        "",
        query + "&tenant=" + fields["tenant"],
        query + "x",
        urlencode(fields | {"expires": int(fields["expires"]) + 1}),
        urlencode(fields | {"tenant": globex.id}),
        urlencode(fields | {"expires": "soon"}),
        urlencode(fields | {"tenant": "acme"}),
        urlencode(fields | {"signature": "ü"}),
        urlsplit(theirs["download_url"]).query,
        urlsplit(signed(process, tenant, path, in_s=-1)).query,
        urlsplit(signed(process, tenant, path.replace("/download", ""))).query,
    ]
    for other in altered:
        assert refusal_of(await http.get(f"{path}?{other}")) == (403, "invalid-link"), other
    their_place = path.replace(export["id"], theirs["id"])
    assert refusal_of(await http.get(f"{their_place}?{query}")) == (403, "invalid-link")
    # What is signed for one tenant finds nothing of another, and goes with no other's host.
    assert (await http.get(signed(process, tenant, their_place))).status_code == 404
    assert refusal_of(await http.get(on(globex.slug, f"{path}?{query}"))) == (403, "tenant-mismatch")
    assert (await http.get(on(tenant.slug, f"{path}?{query}"))).status_code == 200
    assert (await http.get(f"{path}?{query}", headers={"Authorization": "Bearer nonsense"})).status_code == 200


async def test_an_export_whose_time_is_over_is_found_no_more_and_goes_with_its_file(
    http: httpx.AsyncClient, process: Process, worker: Mailbox, tenant: TenantRef
) -> None:
    export = await made(http, process, worker, tenant)
    async with open_tenant_session(process.database, tenant) as session:
        await session.execute(text("UPDATE tenant_exports SET expires_at = now()"))
    assert (await http.get(export["download_url"])).status_code == 404
    found = await http.get(f"{PATH}/{export['id']}", headers=await bearer(process, tenant))
    assert found.status_code == 404
    async with open_tenant_session(process.database, tenant) as session:
        await forget_exports.function(NoArguments(), session)
        assert await session.scalar(text("SELECT count(*) FROM export_chunks")) == 0


async def test_a_link_opens_nothing_while_its_tenant_is_suspended(
    http: httpx.AsyncClient, process: Process, worker: Mailbox, tenant: TenantRef
) -> None:
    export = await made(http, process, worker, tenant)
    async with platform_session(process.database) as session:
        await lifecycle(session).suspend(tenant.id, by=OPERATOR)
    await process.feed.caught_up()
    assert refusal_of(await http.get(export["download_url"])) == (403, "tenant-suspended")


async def test_an_export_of_a_tenant_that_asks_for_too_much_at_once_is_not_called_failed(
    http: httpx.AsyncClient, process: Process, worker: Mailbox, tenant: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write_nothing(*_: object) -> None:
        raise TooManyAtOnce

    headers = await bearer(process, tenant)
    asked = (await http.post(PATH, headers=headers)).json()
    monkeypatch.setattr(jobs, "write_export", write_nothing)
    monkeypatch.setattr(jobs, "_ATTEMPTS", 1)
    with pytest.raises(TooManyAtOnce):
        await worker.deliver(tenant)
    assert (await http.get(f"{PATH}/{asked['id']}", headers=headers)).json()["state"] == "waiting"


async def test_an_export_that_cannot_be_made_is_called_failed_and_another_can_be_asked_for(
    http: httpx.AsyncClient, process: Process, worker: Mailbox, tenant: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await bearer(process, tenant)
    asked = (await http.post(PATH, headers=headers)).json()
    with monkeypatch.context() as broken:
        broken.setattr(writing, "_CHUNK_BYTES", "many")
        broken.setattr(jobs, "_ATTEMPTS", 1)
        with pytest.raises(GivenUp, match="TypeError"):
            await worker.deliver(tenant)
    assert (await http.get(f"{PATH}/{asked['id']}", headers=headers)).json()["state"] == "failed"
    assert (await made(http, process, worker, tenant))["state"] == "ready"
