"""What the log says of a request: who asked for which tenant, in every line, and nothing of what it was told."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import structlog
from structlog.testing import LogCapture, ReturnLogger

from leasehold.config import Settings
from leasehold.core.database import driver_url, platform_session
from leasehold.http import request_log
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.names import quoted
from tests.api.problems import on, refusal_of
from tests.factories import OPERATOR, api_key, bearer, item, lifecycle
from tests.faults.serving import served

_PLANTED = "planted-pa55w0rd"
_BREAK = """
CREATE FUNCTION {schema}.break_it() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'broken by %', NEW.title USING DETAIL = NEW.title, ERRCODE = 'XX001'; END $$;
GRANT EXECUTE ON FUNCTION {schema}.break_it() TO PUBLIC;
CREATE TRIGGER break_it BEFORE INSERT ON {schema}.items FOR EACH ROW EXECUTE FUNCTION {schema}.break_it();
"""


def _break(settings: Settings, tenant: TenantRef) -> None:
    """Let the database repeat what an item is called, in an error that nobody foresees."""
    assert settings.owner_url is not None
    with psycopg.connect(driver_url(settings.owner_url.get_secret_value()), autocommit=True) as owner:
        owner.execute(_BREAK.format(schema=quoted(tenant.schema)).encode())


async def test_every_line_of_a_request_names_who_asked_and_none_repeats_what_was_said(
    settings: Settings, process: Process, acme: TenantRef, tmp_path: Path
) -> None:
    made, headers = await item(process, acme), await bearer(process, acme)
    _break(settings, acme)
    output = tmp_path / "output"
    said = {
        **headers,
        "cookie": f"session={_PLANTED}",
        "x-anything": _PLANTED,
        "idempotency-key": _PLANTED,
        "user-agent": _PLANTED,
        "request-id": "a-request-of-mine",
    }
    with output.open("wb") as file:
        async with (
            served(settings, output=file, log_level="debug", slow_statement_ms="1") as address,
            httpx.AsyncClient(base_url=address, timeout=60) as http,
        ):
            broken = await http.post(f"/v1/items?key={_PLANTED}", headers=said, json={"title": _PLANTED})
            unread = await http.post(
                "/v1/items", headers={**said, "content-type": "application/json"}, content=_PLANTED
            )
            form = {"grant_type": "password", "username": _PLANTED, "password": _PLANTED, "client_secret": _PLANTED}
            refused = await http.post("/oauth/token", headers={"x-tenant": acme.slug, **_other(said)}, data=form)
            forged = await http.get("/v1/items", headers={**_other(said), "authorization": f"Bearer {_PLANTED}"})
            read = await http.get(f"/v1/items/{made.id}", headers=said)
    assert [answer.status_code for answer in (broken, unread, refused, forged, read)] == [500, 400, 400, 401, 200]
    assert _PLANTED not in broken.text
    logged = output.read_text()
    assert _PLANTED not in logged
    assert headers["Authorization"].split()[1] not in logged

    lines: list[dict[str, Any]] = [json.loads(line) for line in logged.splitlines()]
    own = [line for line in lines if line.get("request_id") == "a-request-of-mine" and line.get("tenant")]
    subject = next(line["subject"] for line in own if line["event"] == "request_answered")
    assert {line["event"] for line in own} >= {"statement_ran", "request_failed", "request_answered"}
    for line in own:
        assert line["tenant"] == str(acme.id)
        assert line["trace_id"]
    of_known = [line for line in own if line["event"] == "statement_ran" and "INSERT INTO items" in line["sql"]]
    assert [line["subject"] for line in of_known] == [subject]
    (failed,) = [line for line in own if line["event"] == "request_failed"]
    assert failed["subject"] == subject
    assert "(XX001)" in failed["exception"]
    assert "/workspace/items/service.py" in failed["exception"]


@pytest.mark.parametrize("kind", ["access token", "API key"])
async def test_who_is_refused_for_another_tenant_or_a_suspended_one_is_named(
    http: httpx.AsyncClient,
    process: Process,
    acme: TenantRef,
    globex: TenantRef,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    headers = await bearer(process, acme)
    if kind == "API key":
        headers = {"Authorization": f"Bearer {(await api_key(process, acme)).key}"}
    subject = (await http.get("/v1/me", headers=headers)).json()["subject"]  # from now on it is remembered
    logged = LogCapture()
    monkeypatch.setattr(
        request_log,
        "_log",
        structlog.wrap_logger(ReturnLogger(), processors=[logged], wrapper_class=structlog.BoundLogger),
    )
    refusals = [refusal_of(await http.get(on(globex.slug, "/v1/items"), headers=headers))]
    async with platform_session(process.database) as session:
        await lifecycle(session).suspend(acme.id, by=OPERATOR)
    await process.feed.caught_up()
    refusals.append(refusal_of(await http.get("/v1/items", headers=headers)))
    assert refusals == [(403, "tenant-mismatch"), (403, "tenant-suspended")]
    assert [(line["status"], line["tenant"], line["subject"]) for line in logged.entries] == [
        (403, acme.id, UUID(subject))
    ] * 2


def _other(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "Authorization"}
