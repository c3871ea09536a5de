"""No secret, token, password or hash gets where it must not: the whole API is walked, and everything is searched.

A real server runs at its most talkative. What its clients sent and were told is noted on the way, and is then looked
for in its output, in every refusal, in the description of the API, and in every table of the tenant and the platform.
"""

import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import psycopg
import pytest

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.http.request_log import RequestLog
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.test_audit_walk import EMAIL, NAME, World, operations, sent
from tests.factories import admin, api_client, bearer
from tests.faults.serving import served
from tests.people import PASSWORD, set_registration

_SHORTEST_HASH = 32
_SECRET_FIELDS = {
    "password",
    "current_password",
    "new_password",
    "token",
    "invitation",
    "access_token",
    "refresh_token",
    "setup_secret",
    "client_secret",
    "key",
    "secret",
    "uri",
    "recovery_codes",
}


def texts_in(value: object) -> Iterator[str]:
    """Yield every secret text in a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _SECRET_FIELDS:
                yield from ([inner] if isinstance(inner, str) else inner if isinstance(inner, list) else [])
            else:
                yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """Sends requests to the server, whatever host they name, and notes the secrets that pass by."""

    address: str
    secrets: set[str] = field(default_factory=set)
    refusals: str = ""
    inner: httpx.AsyncHTTPTransport = field(default_factory=httpx.AsyncHTTPTransport)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = httpx.URL(self.address)
        request.url = request.url.copy_with(scheme="http", host=address.host, port=address.port)
        self._note(request.headers.get("content-type", ""), request.content)
        if credential := request.headers.get("authorization"):
            self.secrets.add(credential.split()[-1])
        answer = await self.inner.handle_async_request(request)
        await answer.aread()
        if request.url.path != "/openapi.json":  # which only has the names of such fields
            self._note(answer.headers.get("content-type", ""), answer.content)
        if answer.status_code >= 400:
            self.refusals += answer.text + str(answer.headers)
        return answer

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _note(self, content_type: str, content: bytes) -> None:
        if content_type.startswith("application/json") and content:
            self.secrets |= set(texts_in(json.loads(content)))
        if content_type.startswith("application/x-www-form-urlencoded"):
            fields = parse_qs(content.decode())
            self.secrets |= {value for name in fields.keys() & _SECRET_FIELDS for value in fields[name]}


@pytest.fixture
async def told(tmp_path: Path, settings: Settings) -> AsyncGenerator[tuple[Wire, Path]]:
    """A server that logs all it can into a file."""
    output = tmp_path / "output"
    with output.open("wb") as file:
        cheap = {"password_memory_kib": "64", "password_iterations": "1"}
        async with served(settings, output=file, log_level="debug", **cheap) as address:
            yield Wire(address), output


def stored(settings: Settings, tenant: TenantRef) -> tuple[str, set[str]]:
    """Return everything in the tables of a tenant and of the platform, and every hash and digest among it."""
    assert settings.owner_url is not None
    everything, hashes = "", set[str]()
    with psycopg.connect(driver_url(settings.owner_url.get_secret_value())) as owner:
        columns: list[tuple[str, str, str, str]] = owner.execute(
            "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = ANY(%s)",
            [[tenant.schema, "platform"]],
        ).fetchall()
        for schema, table, column, kind in columns:
            rows = owner.execute(f'SELECT "{column}"::text FROM "{schema}"."{table}"').fetchall()  # type: ignore[arg-type]
            values = [value for (value,) in rows if value]
            everything += "\n".join(values)
            if kind == "bytea" or column == "password_hash":
                # Answers that are kept may be short, and of a few digits any log has some.
                hashes |= {value.removeprefix("\\x") for value in values if len(value) > _SHORTEST_HASH}
    return everything, hashes


async def walk(app: RequestLog, world: World) -> None:
    """Do everything that can be done: as it should be, with a wrong body, and with a wrong credential."""
    for operation, method, path in operations(app):
        _, (url, headers, body) = await world.prepared(operation, path)
        for said in (body, {"password": PASSWORD, "x": [PASSWORD], "token": "\x00"}):
            await world.http.request(method, url, headers=headers, **sent(path, said))
        wrong = {name: value[:-2] for name, value in headers.items()}
        await world.http.request(method, url, headers=wrong, **sent(path, body))
    for path in ("/v1/users", "/v1/clients", "/v1/keys", "/v1/audit", "/v1/me", "/v1/me/sessions", "/v1/invitations"):
        answer = await world.http.get(path, headers=world.client)
        assert answer.status_code in {200, 403}
        assert [secret for secret in world.secrets if secret in answer.text] == []


async def test_nothing_that_is_secret_is_logged_refused_with_documented_or_stored(
    app: RequestLog, process: Process, settings: Settings, acme: TenantRef, told: tuple[Wire, Path]
) -> None:
    wire, output = told
    await set_registration(process, acme, "open")
    made = await api_client(process, acme)
    async with httpx.AsyncClient(transport=wire, base_url=f"https://{settings.base_domain}", timeout=60) as http:
        root, client = await admin(process), await bearer(process, acme)
        world = World(http, process, settings, acme, client, root, {made.client_secret, PASSWORD})
        body: dict[str, Any] = {"email": EMAIL, "password": PASSWORD, "name": NAME}
        assert (await http.post("/v1/users", headers=client, json=body)).status_code == 201
        await walk(app, world)
        documented = (await http.get("/openapi.json")).text
    secrets = {secret for secret in wire.secrets | world.secrets if len(secret) > 7} - {"correct horse battery"}
    assert len(secrets) > 100
    everything, hashes = stored(settings, acme)
    logged = output.read_text()
    assert "request_answered" in logged
    assert "INSERT INTO" in logged, logged[-3000:]
    assert [secret for secret in secrets | {PASSWORD} if secret in logged] == []
    assert [secret for secret in secrets | {PASSWORD} if secret in wire.refusals] == []
    assert [secret for secret in secrets if secret in documented] == []
    assert [secret for secret in secrets | {PASSWORD} if secret in everything] == []
    assert len(hashes) > 50
    assert [one for one in hashes if one in logged or one in wire.refusals or one in documented] == []
