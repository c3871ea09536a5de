"""Bodies are taken as the document describes them: no text passes for a number, and no number for a boolean."""

from typing import Any

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.admins import logged_in_admin
from tests.api.problems import pointers_of, refusal_of
from tests.factories import api_client, bearer


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("PATCH", "/v1/tenant", {"require_if_match": "false"}, "/require_if_match"),
        ("PATCH", "/v1/tenant", {"require_if_match": 0}, "/require_if_match"),
        ("POST", "/v1/items", {"title": 5}, "/title"),
        ("POST", "/v1/items", {"title": "Desk", "tags": "a"}, "/tags"),
        ("POST", "/v1/clients/{client_id}/rotate", {"grace_seconds": "60"}, "/grace_seconds"),
        ("POST", "/v1/clients/{client_id}/rotate", {"grace_seconds": 60.5}, "/grace_seconds"),
    ],
)
async def test_a_value_of_another_type_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, method: str, path: str, body: Any, pointer: str
) -> None:
    client = await api_client(process, acme)
    headers = await bearer(process, acme)
    refused = await http.request(method, path.format(client_id=client.client_id), headers=headers, json=body)
    assert (refusal_of(refused), pointers_of(refused)) == ((422, "validation-failed"), [pointer])


async def test_the_platform_is_as_strict(http: httpx.AsyncClient, process: Process) -> None:
    headers = await logged_in_admin(http, process)
    refused = await http.post("/platform/v1/me/tokens", headers=headers, json={"scopes": [], "days": "7"})
    assert (refusal_of(refused), pointers_of(refused)) == ((422, "validation-failed"), ["/days"])


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/items", "GET, OPTIONS, POST"),
        ("/v1/me", "GET, OPTIONS, PATCH"),
        ("/platform/v1/tenants/{tenant_id}", "DELETE, GET, OPTIONS, PATCH"),
        ("/health/live", "GET, OPTIONS"),
    ],
)
async def test_options_names_every_method_of_an_address(
    http: httpx.AsyncClient, acme: TenantRef, path: str, methods: str
) -> None:
    answer = await http.options(path.format(tenant_id=acme.id))
    assert (answer.status_code, answer.headers["allow"]) == (204, methods)
