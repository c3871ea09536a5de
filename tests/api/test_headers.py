"""What answers are sent with, whoever gives them: browsers guess nothing, frame nothing and keep nothing."""

import base64
import hashlib
import re

import httpx
import pytest

from leasehold.config import Settings
from leasehold.main import create_app
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
NO_PAGE = ALWAYS | {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}


def of(answer: httpx.Response, *names: str) -> dict[str, str | None]:
    return {name: ", ".join(answer.headers.get_list(name)) or None for name in names}


async def test_every_answer_of_the_api_forbids_browsers_what_they_need_not(
    http: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    headers = await bearer(process, acme)
    made = await item(process, acme, "Desk")
    answers = [
        (200, await http.get("/v1/items", headers=headers)),
        (200, await http.get(f"/v1/items/{made.id}", headers=headers)),
        (201, await http.post("/v1/items", headers=headers, json={"title": "Chair"})),
        (204, await http.delete(f"/v1/items/{made.id}", headers=headers)),
        (200, await http.get("/v1/items/export", headers=headers)),
        (204, await http.options("/v1/items")),
        (401, await http.get("/v1/items")),
        (404, await http.get("/nowhere")),
        (405, await http.put("/v1/items", headers=headers)),
        (422, await http.post("/v1/items", headers=headers, json={})),
        (200, await http.get("/health/live")),
        (200, await http.get("/openapi.json")),
    ]
    for status, answer in answers:
        assert answer.status_code == status, answer.text
        assert of(answer, *NO_PAGE) == NO_PAGE
        assert of(answer, "cache-control") == {"cache-control": "no-store"}
        assert of(answer, "strict-transport-security") == {"strict-transport-security": None}


async def test_what_may_be_kept_says_so_itself(http: httpx.AsyncClient) -> None:
    keys = await http.get("/.well-known/jwks.json")
    assert of(keys, *NO_PAGE) == NO_PAGE
    assert of(keys, "cache-control") == {"cache-control": "public, max-age=300"}


async def test_the_page_of_the_documentation_runs_its_own_scripts_alone(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert of(page, *ALWAYS) == ALWAYS
    (policy,) = page.headers.get_list("content-security-policy")
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "frame-ancestors 'none'" in policy
    asset = await http.get("/docs/assets/swagger-ui.css")
    assert of(asset, *ALWAYS) == ALWAYS
    assert "cache-control" not in asset.headers


@pytest.mark.parametrize("path", ["/health/live", "/docs", "/nowhere", "/.well-known/jwks.json"])
async def test_tls_is_demanded_where_the_settings_say_so(settings: Settings, path: str) -> None:
    app = create_app(settings.model_copy(update={"hsts_seconds": 31_536_000}))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://leasehold.test") as client:
        answer = await client.get(path)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    app.app.state.process.passwords.close()
