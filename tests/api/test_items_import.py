"""An import is all or nothing, and an export can be imported."""

import httpx
import msgspec
import pytest
from sqlalchemy import text

from leasehold.core import uploads as bounds
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from tests.api.problems import problem_of, refusal_of
from tests.factories import bearer, item, new_slug
from tests.people import user

NDJSON = {"Content-Type": "application/x-ndjson"}


def lines_of(*rows: object) -> bytes:
    return b"".join(row if isinstance(row, bytes) else msgspec.json.encode(row) + b"\n" for row in rows)


async def count_of(process: Process, tenant: TenantRef) -> int:
    async with open_tenant_session(process.database, tenant) as session:
        return int(await session.scalar(text("SELECT count(*) FROM items")) or 0)


def faults_of(answer: httpx.Response) -> list[tuple[str, str]]:
    assert refusal_of(answer) == (422, "validation-failed")
    return [(fault["pointer"], fault["detail"]) for fault in problem_of(answer)["errors"]]


async def test_what_is_exported_can_be_imported_elsewhere(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    ours, theirs = await bearer(process, acme), await bearer(process, globex)
    for title in ("Desk", "Schreibtisch \u2028 \U0001f600"):
        body = {"title": title, "description": "a\nb", "status": "done", "tags": ["oak"]}
        assert (await http.post("/v1/items", headers=ours, json=body)).status_code == 201
    await item(process, globex, "Theirs")
    exported = await http.get("/v1/items/export", headers=ours)
    assert exported.headers["content-type"] == "application/x-ndjson"
    assert [msgspec.json.decode(line) for line in exported.content.splitlines()] == (
        (await http.get("/v1/items", headers=ours)).json()["items"]
    )
    answer = await http.post("/v1/items/import", headers=theirs | NDJSON, content=exported.content)
    assert (answer.status_code, answer.json()) == (200, {"imported": 2})
    listed = (await http.get("/v1/items", headers=theirs)).json()["items"]
    written = ("title", "description", "status", "tags")
    assert [tuple(row[name] for name in written) for row in listed] == [
        ("Theirs", "", "open", []),
        ("Desk", "a\nb", "done", ["oak"]),
        ("Schreibtisch \u2028 \U0001f600", "a\nb", "done", ["oak"]),
    ]
    assert len((await http.get("/v1/items", headers=ours)).json()["items"]) == 2
    assert {line["id"] for line in map(msgspec.json.decode, exported.content.splitlines())} & {
        row["id"] for row in listed
    } == set()


async def test_one_bad_line_keeps_all_others_out_and_every_bad_line_is_told(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    owner = await user(process, acme, f"{new_slug()}@acme.example")
    content = lines_of(
        {"title": "Desk", "owner_id": str(owner.id)},
        b"\r\n",
        {"title": ""},
        b"{not json}\n",
        b"\xff\xfe\n",
        b'{"title": "\\ud800"}\n',
        b"[" * 100_000 + b"\n",
        {"title": "a\0b", "colour": "green"},
        {"title": "Lamp", "owner_id": "0198c5f2-0000-7000-8000-000000000000"},
        {"title": "Sofa", "tags": [" "]},
        b'{"title": "last"}',
    )
    headers = await bearer(process, acme) | NDJSON
    faults = faults_of(await http.post("/v1/items/import", headers=headers, content=content))
    pointers = [pointer for pointer, _ in faults]
    assert pointers == [
        "line 3/title",
        "line 4",
        "line 5",
        "line 6",
        "line 7",
        "line 8/colour",
        "line 8/title",
        "line 9/owner_id",
        "line 10/tags/0",
    ]
    assert await count_of(process, acme) == 0


async def test_a_bad_line_far_behind_keeps_out_what_was_written_before_it(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    content = lines_of(*[{"title": "Desk"}] * 2500, {"title": ""})
    headers = await bearer(process, acme) | NDJSON
    refused = await http.post("/v1/items/import", headers=headers, content=content)
    assert [pointer for pointer, _ in faults_of(refused)] == ["line 2501/title"]
    assert await count_of(process, acme) == 0
    answer = await http.post("/v1/items/import", headers=headers, content=content[: -len(b'{"title":""}\n')])
    assert answer.json() == {"imported": 2500}


async def test_only_the_first_hundred_faults_are_told(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme) | NDJSON
    refused = await http.post("/v1/items/import", headers=headers, content=b"{}\n" * 3000)
    assert len(faults_of(refused)) == 100


@pytest.mark.parametrize("before", [0, 1, 1500])
async def test_a_line_that_is_too_long_is_not_read(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, before: int
) -> None:
    content = lines_of(*[{"title": "Desk"}] * before, b'{"title": "' + b"x" * 10_000_000 + b'"}\n')
    headers = await bearer(process, acme) | NDJSON
    refused = await http.post("/v1/items/import", headers=headers, content=content)
    assert faults_of(refused) == [(f"line {before + 1}", "is longer than 262144 bytes")]
    assert await count_of(process, acme) == 0


async def test_more_lines_than_an_import_may_have_are_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_LINES", 1000)
    headers = await bearer(process, acme) | NDJSON
    content = lines_of(*[{"title": "Desk"}] * 1000)
    refused = await http.post("/v1/items/import", headers=headers, content=content + b'\n{"title": "x"}')
    assert faults_of(refused) == [("line 1002", "is one more than 1000")]
    answer = await http.post("/v1/items/import", headers=headers, content=content + b"\n\n \n")
    assert answer.json() == {"imported": 1000}


async def test_nothing_can_be_imported(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    headers = await bearer(process, acme) | NDJSON
    for content in (b"", b"\n\n"):
        answer = await http.post("/v1/items/import", headers=headers, content=content)
        assert (answer.status_code, answer.json()) == (200, {"imported": 0})


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/merge-patch+json"])
async def test_what_does_not_call_itself_lines_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, kind: str
) -> None:
    headers = await bearer(process, acme) | {"Content-Type": kind}
    refused = await http.post("/v1/items/import", headers=headers, content=b'{"title": "Desk"}')
    assert refusal_of(refused) == (415, "unsupported-media-type")
    assert "application/x-ndjson" in problem_of(refused)["detail"]


async def test_an_import_with_a_key_is_carried_out_once(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme) | NDJSON | {"Idempotency-Key": "once"}
    content = lines_of({"title": "Desk"})
    answers = [await http.post("/v1/items/import", headers=headers, content=content) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"imported": 1}] * 2
    assert answers[1].headers["idempotent-replayed"] == "true"
    other = await http.post("/v1/items/import", headers=headers, content=content + content)
    assert refusal_of(other) == (422, "idempotency-key-reused")
    assert await count_of(process, acme) == 1
