"""Whatever goes wrong is a problem document, says which request it was, and shows nothing of the inside."""

from collections.abc import AsyncGenerator
from uuid import UUID

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.items.repository import ItemReads
from tests.api.problems import on, pointers_of, problem_of, refusal_of
from tests.factories import admin, bearer, item

MIB = 1024 * 1024


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v2/items",
        "/v1",
        "/v1/nothing",
        "/platform",
        "/platform/v1",
        "/wp-login.php",
        "/oauth",
        "/%00",
        "/é",
        "//",
    ],
)
async def test_an_unknown_address_is_404(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef, path: str
) -> None:
    for base in ("https://leasehold.test", on(acme.slug, ""), on(globex.slug, "")):
        assert refusal_of(await http.get(base + path)) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/items", "GET, OPTIONS, POST"),
        ("DELETE", "/v1/items", "GET, OPTIONS, POST"),
        ("POST", "/v1/me", "GET, OPTIONS, PATCH"),
        ("GET", "/oauth/token", "OPTIONS, POST"),
        ("GET", "/v1/auth/login", "OPTIONS, POST"),
        ("POST", "/health/live", "GET, OPTIONS"),
        ("PUT", "/platform/v1/tenants", "GET, OPTIONS, POST"),
    ],
)
async def test_a_method_that_the_address_does_not_take_is_405_and_names_those_it_takes(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef, method: str, path: str, allowed: str
) -> None:
    for tenant in (acme, globex):
        refused = await http.request(method, path, headers={"X-Tenant": tenant.slug})
        assert refusal_of(refused) == (405, "method-not-allowed")
        assert ", ".join(sorted(refused.headers["allow"].replace(" ", "").split(","))) == allowed


@pytest.mark.parametrize("path", ["/v1/items", "/v1/me", "/oauth/token"])
async def test_options_are_answered_without_an_error(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, path: str
) -> None:
    for tenant in (acme, globex):
        answer = await http.options(on(tenant.slug, path), headers=await bearer(process, tenant))
        assert answer.status_code == 204, answer.text
        assert "OPTIONS" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/v1/items", "/platform/v1/tenants", "/v1/auth/login"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"not json",
        b'{"title": "Desk",}',
        b'{"title": "Desk"} x',
        b"{'title': 'Desk'}",
        b'{"title": "\xff"}',
        b"\xff\xfe\x00",
        b'{"title": "\\ud800"}',
        b'{"title": NaN}',
        b"[" * 100_000,
        b'{"title": ' + b"[" * 100_000,
        b'{"other": ' + b'{"a":' * 100_000,
        b'{"other": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
async def test_a_body_that_is_no_json_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, path: str, body: bytes
) -> None:
    for tenant in (acme, globex):
        credential = await (admin(process) if path.startswith("/platform") else bearer(process, tenant))
        headers = {**credential, "Content-Type": "application/json", "X-Tenant": tenant.slug}
        refused = await http.post(path, headers=headers, content=body)
        assert refused.status_code in {400, 422}
        problem_of(refused)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/octet-stream"])
async def test_a_body_of_another_type_is_415(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, content_type: str
) -> None:
    for tenant in (acme, globex):
        headers = {**await bearer(process, tenant), "Content-Type": content_type}
        refused = await http.post("/v1/items", headers=headers, content=b'{"title": "Desk"}')
        assert refusal_of(refused) == (415, "unsupported-media-type")
        assert (await http.get("/v1/items", headers=headers)).json()["items"] == []


async def test_a_form_where_json_is_wanted_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        refused = await http.post("/v1/items", headers=await bearer(process, tenant), data={"title": "Desk"})
        assert refused.status_code in {400, 415, 422}
        problem_of(refused)


@pytest.mark.parametrize("path", ["/v1/items", "/v1/auth/register", "/platform/v1/tenants"])
async def test_a_body_over_a_mebibyte_is_413(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, path: str
) -> None:
    for tenant in (acme, globex):
        credential = await (admin(process) if path.startswith("/platform") else bearer(process, tenant))
        headers = {**credential, "Content-Type": "application/json", "X-Tenant": tenant.slug}
        body = b'{"title": "' + b"x" * MIB + b'"}'
        assert refusal_of(await http.post(path, headers=headers, content=body)) == (413, "body-too-large")


async def test_a_form_over_a_mebibyte_is_413(http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef) -> None:
    for tenant in (acme, globex):
        form = {"grant_type": "x" * MIB}
        refused = await http.post(on(tenant.slug, "/oauth/token"), data=form)
        assert refusal_of(refused) == (413, "body-too-large")


async def test_a_body_over_a_mebibyte_that_does_not_say_its_length_is_413(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    sent = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal sent
        yield b'{"title": "'
        for _ in range(64):
            sent += 1
            yield b"x" * 65_536

    for tenant in (acme, globex):
        sent = 0
        headers = {**await bearer(process, tenant), "Content-Type": "application/json"}
        refused = await http.post("/v1/items", headers=headers, content=endless())
        assert "content-length" not in refused.request.headers
        assert refusal_of(refused) == (413, "body-too-large")
        assert sent <= 20, "the rest need not be read"


async def test_a_body_of_almost_a_mebibyte_is_read(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        refused = await http.post("/v1/items", headers=await bearer(process, tenant), json={"title": "x" * (MIB - 20)})
        assert refusal_of(refused) == (422, "validation-failed")
        assert pointers_of(refused) == ["/title"]


async def test_a_large_body_without_a_token_is_401_before_it_is_read(
    http: httpx.AsyncClient, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        refused = await http.post(on(tenant.slug, "/v1/items"), content=b"x" * (2 * MIB))
        assert refusal_of(refused) == (401, "unauthenticated")


async def test_an_error_that_nobody_foresaw_shows_nothing_of_itself(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    globex: TenantRef,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    for tenant in (acme, globex):
        row, headers = await item(process, tenant), await bearer(process, tenant)
        with monkeypatch.context() as patched:
            patched.setattr(ItemReads, "find", fail)
            failed = await http.get(f"/v1/items/{row.id}", headers=headers)
        assert refusal_of(failed) == (500, "internal-error")
        for word in ("secret detail", "RuntimeError", "Traceback", "leasehold", "items/service"):
            assert word not in failed.text
        assert (await http.get(f"/v1/items/{row.id}", headers=headers)).status_code == 200


async def test_a_request_id_that_was_sent_comes_back(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for request_id in ("12345678", "a.b-c_D9" * 16):
        for tenant in (acme, globex):
            headers = {**await bearer(process, tenant), "Request-Id": request_id}
            for path, status in (("/v1/me", 200), ("/v1/nothing", 404), ("/v1/items/x", 404)):
                answer = await http.get(path, headers=headers)
                assert answer.status_code == status
                assert answer.headers.get_list("request-id") == [request_id]
            assert problem_of(answer)["request_id"] == request_id


@pytest.mark.parametrize("path", ["/health/live", "/nothing", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css"])
async def test_a_request_without_an_id_gets_one_of_its_own(http: httpx.AsyncClient, path: str) -> None:
    first, second = await http.get(path), await http.get(path)
    ids = [UUID(answer.headers["request-id"]) for answer in (first, second)]
    assert [given.version for given in ids] == [7, 7]
    assert ids[0] != ids[1]


@pytest.mark.parametrize(
    "request_id",
    [
        b"",
        b"short",
        b"x" * 129,
        b"has a blank",
        b"<script>alert(1)</script>",
        b"tab\tinside",
        b'quote"d-id',
        b"\xe9" * 8,
    ],
)
async def test_a_request_id_that_could_do_harm_is_replaced(http: httpx.AsyncClient, request_id: bytes) -> None:
    answer = await http.get("/nothing", headers={b"request-id": request_id})
    assert UUID(answer.headers["request-id"]).version == 7
    assert problem_of(answer)["request_id"] == answer.headers["request-id"]
