"""Pages of other origins call the API where the settings name them, and read what it answers; no others do."""

from collections.abc import AsyncGenerator

import httpx
import pytest

from leasehold.config import Settings
from leasehold.http.cors import AllowedOrigins, CrossOrigin
from leasehold.http.request_log import RequestLog
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item

ORIGIN = "https://app.example.com"
ASKED = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}


@pytest.fixture
async def browser(app: RequestLog, settings: Settings) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of the application as it is with the setting."""
    around = CrossOrigin(app, AllowedOrigins(f"{ORIGIN},https://*.shop.test"))
    transport = httpx.ASGITransport(around, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{settings.base_domain}") as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/items", "/oauth/token", "/platform/v1/tenants", "/nowhere"])
@pytest.mark.parametrize("origin", [ORIGIN, "https://acme.shop.test"])
async def test_a_browser_that_asks_first_is_told_that_the_page_may_send_it(
    browser: httpx.AsyncClient, path: str, origin: str
) -> None:
    told = await browser.options(path, headers=ASKED | {"Origin": origin})
    assert (told.status_code, told.content) == (204, b"")
    assert told.headers["access-control-allow-origin"] == origin
    assert "PATCH" in told.headers["access-control-allow-methods"].split(", ")
    assert {"authorization", "if-match", "idempotency-key", "x-tenant", "content-type"} <= set(
        told.headers["access-control-allow-headers"].split(", ")
    )
    assert told.headers["access-control-max-age"] == "7200"
    assert told.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in told.headers


async def test_the_page_reads_answers_and_refusals(
    browser: httpx.AsyncClient, process: Process, acme: TenantRef
) -> None:
    made = await item(process, acme, "Desk")
    headers = await bearer(process, acme) | {"Origin": ORIGIN}
    shown = await browser.get(f"/v1/items/{made.id}", headers=headers)
    refused = await browser.get("/v1/items", headers={"Origin": ORIGIN})
    assert (shown.status_code, refused.status_code) == (200, 401)
    for answer in (shown, refused):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert {"etag", "request-id", "retry-after"} <= set(answer.headers["access-control-expose-headers"].split(", "))
        assert "origin" in answer.headers.get_list("vary")


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "https://app.example.com.evil.test"])
async def test_a_page_of_another_origin_is_told_nothing(browser: httpx.AsyncClient, origin: str) -> None:
    asked = await browser.options("/v1/items", headers=ASKED | {"Origin": origin})
    answered = await browser.get("/health/live", headers={"Origin": origin})
    for answer in (asked, answered):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["vary"] == "origin"


async def test_who_names_no_origin_is_served_as_ever_but_not_from_a_cache_for_pages(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/health/live")
    assert answer.status_code == 200
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-origin" not in answer.headers
    plain = await browser.options("/v1/items", headers={"Origin": ORIGIN})
    assert plain.headers["allow"] == "GET, OPTIONS, POST"


async def test_without_the_setting_no_page_reads_anything(http: httpx.AsyncClient) -> None:
    asked = await http.options("/v1/items", headers=ASKED | {"Origin": ORIGIN})
    answered = await http.get("/health/live", headers={"Origin": ORIGIN})
    for answer in (asked, answered):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
