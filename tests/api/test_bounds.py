"""Whatever is sent beyond its bounds is refused, in few words, and never an error of the server."""

from typing import Any

import httpx
import msgspec
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import on, pointers_of, problem_of, refusal_of
from tests.factories import admin, bearer, item

MANY = {f"k{number}": 1 for number in range(50_000)}
DEEP = b"[" * 100_000 + b"]" * 100_000
HUGE = b"9" * 100_000


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/items"), ("POST", "/v1/keys"), ("PATCH", "/v1/tenant")])
async def test_a_hundred_faults_are_named_of_many_more(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, method: str, path: str
) -> None:
    refused = await http.request(method, path, headers=await bearer(process, acme), json=MANY)
    assert refusal_of(refused) == (422, "validation-failed")
    assert len(problem_of(refused)["errors"]) == 100


async def test_a_hundred_faults_are_named_of_each_line_of_many(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    answer = await http.post("/v1/items/bulk", headers=await bearer(process, acme), json={"items": [MANY, MANY]})
    assert answer.status_code == 200
    assert [len(result["problem"]["errors"]) for result in answer.json()["results"]] == [100, 100]


async def test_a_hundred_faults_are_named_of_a_query(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    query = "&".join(f"k{number}=1" for number in range(5000))
    refused = await http.get(f"/v1/items?{query}", headers=await bearer(process, acme))
    assert refusal_of(refused) == (422, "validation-failed")
    assert len(problem_of(refused)["errors"]) == 100


@pytest.mark.parametrize("value", [DEEP, HUGE, b"-" + HUGE, b"1e" + HUGE, b'"\\ud800"', b'"\xed\xa0\x80"', b'"\xff"'])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/items", b'{"title": %b}'),
        ("POST", "/v1/items", b'{"other": %b}'),
        ("POST", "/v1/items", b'{"title": "Desk", "tags": [%b]}'),
        ("POST", "/v1/items/bulk", b'{"items": [%b]}'),
        ("POST", "/v1/items/bulk", b'{"items": %b}'),
        ("PATCH", "/v1/items/bulk", b'{"items": [{"id": %b}]}'),
        ("POST", "/v1/clients", b'{"name": "Robot", "scopes": [%b]}'),
        ("POST", "/v1/keys", b'{"name": "Key", "days": %b}'),
        ("POST", "/platform/v1/tenants", b'{"slug": %b, "name": "Acme"}'),
    ],
)
async def test_a_value_that_no_field_can_hold_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, method: str, path: str, body: bytes, value: bytes
) -> None:
    credential = await (admin(process) if path.startswith("/platform") else bearer(process, acme))
    headers = {**credential, "Content-Type": "application/json"}
    answer = await http.request(method, path, headers=headers, content=body.replace(b"%b", value))
    if answer.status_code == 200:  # a line of many, which has a result of its own
        assert [result["status"] for result in answer.json()["results"]] == [422]
    else:
        assert answer.status_code in {400, 422}
        assert len(answer.content) < 2000
        problem_of(answer)


@pytest.mark.parametrize("version", [0, -1, 2**63, 10**100])
async def test_a_version_that_no_item_can_have_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, version: int
) -> None:
    made = await item(process, acme)
    headers = {**await bearer(process, acme), "Content-Type": "application/json"}
    content = b'{"items": [{"id": "%s", "version": %d}]}' % (str(made.id).encode(), version)
    answer = await http.patch("/v1/items/bulk", headers=headers, content=content)
    (result,) = answer.json()["results"]
    assert (result["status"], [fault["pointer"] for fault in result["problem"]["errors"]]) == (
        422,
        ["/items/0/version"],
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/items", "tag"),
        ("/v1/items", "q"),
        ("/v1/items", "status"),
        ("/v1/items", "owner_id"),
        ("/v1/items", "updated_at[gte]"),
        ("/v1/items", "limit"),
        ("/v1/users", "email"),
        ("/v1/invitations", "email"),
        ("/v1/audit", "action"),
        ("/v1/audit", "target_kind"),
        ("/v1/audit", "created_at[gte]"),
        ("/platform/v1/tenants", "slug"),
    ],
)
@pytest.mark.parametrize("value", ["x" * 1000, "a\0b", "9" * 1000])
async def test_a_parameter_that_nothing_can_match_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, path: str, name: str, value: str
) -> None:
    credential = await (admin(process) if path.startswith("/platform") else bearer(process, acme))
    refused = await http.get(path, headers=credential, params={name: value})
    assert refusal_of(refused) == (422, "validation-failed")
    assert pointers_of(refused) == [f"?{name}"]


async def test_a_cursor_that_is_too_long_is_refused(http: httpx.AsyncClient, process: Process, acme: TenantRef) -> None:
    refused = await http.get("/v1/items", headers=await bearer(process, acme), params={"cursor": "x" * 2001})
    assert refusal_of(refused) == (422, "validation-failed")


@pytest.mark.parametrize("hostname", ["x" * 254, "%00", "a%00.example", "%ed%a0%80", "%ff", "xn--" + "x" * 100])
async def test_a_hostname_that_no_tenant_can_have_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, hostname: str
) -> None:
    url = f"/platform/v1/tenants/{acme.id}/domains/{hostname}"
    refused = await http.delete(url, headers=await admin(process))
    assert refused.status_code in {404, 422}


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/oauth/token", {"grant_type": "x" * 101}),
        ("/oauth/token", {"grant_type": "a\0b"}),
        ("/oauth/token", {"grant_type": "refresh_token", "refresh_token": "x" * 256}),
        ("/oauth/token", {"grant_type": "refresh_token", "refresh_token": "a\0b"}),
        ("/oauth/revoke", {"token": "x" * 20_000}),
        ("/oauth/revoke", {"token": "x", "token_type_hint": "x" * 101}),
    ],
)
async def test_a_form_is_bounded_too(http: httpx.AsyncClient, acme: TenantRef, path: str, form: dict[str, Any]) -> None:
    refused = await http.post(on(acme.slug, path), data=form)
    assert refused.status_code == 400
    assert set(refused.json()) == {"error", "error_description"}


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
@pytest.mark.parametrize("credential", ["x" * 255, "a\0b", "\udcff"])
async def test_credentials_that_no_client_can_have_are_unknown(
    http: httpx.AsyncClient, acme: TenantRef, path: str, credential: str
) -> None:
    form = {"grant_type": "client_credentials", "token": "x", "client_id": credential, "client_secret": credential}
    body = "&".join(f"{name}={_quoted(value)}" for name, value in form.items())
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = await http.post(on(acme.slug, path), headers=headers, content=body)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def _quoted(value: str) -> str:
    return "".join(f"%{byte:02X}" for byte in value.encode(errors="surrogateescape"))


@pytest.mark.parametrize("path", ["/docs/assets/%00", "/docs/assets/" + "x" * 5000])
async def test_a_file_that_cannot_be_is_not_found(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_what_an_honest_client_sends_at_most_fits(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    line = {"title": "x" * 200, "description": "y" * 10_000, "tags": [f"{number:050}" for number in range(20)]}
    body = msgspec.json.encode({"items": [line] * 80})
    headers = {**await bearer(process, acme), "Content-Type": "application/json"}
    answer = await http.post("/v1/items/bulk", headers=headers, content=body)
    assert (answer.status_code, answer.json()["succeeded"]) == (200, 80)
