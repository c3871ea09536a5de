"""Two processes of the server, and clients as others write them, while the keys that sign access tokens change."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import jwt
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

from leasehold.config import Settings
from leasehold.core.database import platform_session
from leasehold.platform.keys.schemas import Rotation
from leasehold.platform.keys.service import KeyService
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.clients.schemas import NewApiClient
from tests.factories import api_client
from tests.faults.serving import served
from tests.integration.cli.shell import free_port

_OVERLAP_S = 4
_CALLERS = 4
_OF_THE_NEXT = 20
"""How many tokens each caller gets by the next key."""


async def rotated(process: Process, *, overlap_s: int = _OVERLAP_S) -> Rotation:
    async with platform_session(process.database) as session:
        return await KeyService(session, process.key).rotate(overlap_s=overlap_s)


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def issued(http: httpx.AsyncClient, address: str, tenant: TenantRef, client: NewApiClient) -> str:
    answer = await http.post(
        f"{address}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(str(client.client_id), client.client_secret),
        headers={"X-Tenant": tenant.slug},
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def test_no_token_is_refused_while_the_key_changes(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    """Each token is shown at once to the process that did not issue it, and the first one to the end."""
    clients = [(tenant, await api_client(process, tenant)) for tenant in (acme, globex)]
    kids: set[str] = set()
    refused: list[str] = []
    accepted = 0
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(served(settings)) for _ in range(2)]
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60))
        firsts = [await issued(http, addresses[number // 2], *clients[number % 2]) for number in range(_CALLERS)]
        kids.update(map(kid_of, firsts))
        rotation = await rotated(process)
        assert rotation.is_new

        async def show(address: str, token: str) -> None:
            nonlocal accepted
            answer = await http.get(f"{address}/v1/me", headers={"Authorization": f"Bearer {token}"})
            if answer.status_code == 200:
                accepted += 1
            else:
                refused.append(f"{kid_of(token)}: {answer.text}")

        async def call(number: int) -> None:
            tenant, client = clients[number % 2]
            issuer, other = addresses[number // 2], addresses[1 - number // 2]
            of_the_next = 0
            while of_the_next < _OF_THE_NEXT:
                token = await issued(http, issuer, tenant, client)
                kids.add(kid_of(token))
                of_the_next += kid_of(token) == rotation.key.kid
                await show(other, token)
                await show(issuer, token)
                await show(other, firsts[number])

        async with asyncio.timeout(120):
            await asyncio.gather(*(call(number) for number in range(_CALLERS)))
    assert refused == []
    assert accepted >= 3 * _CALLERS * _OF_THE_NEXT
    assert rotation.key.kid in kids
    assert len(kids) == 2


class CountingClient(jwt.PyJWKClient):
    """PyJWT's client of a JWKS endpoint, which counts how often it asks."""

    asked = 0

    def fetch_data(self) -> Any:
        self.asked += 1
        return super().fetch_data()


async def test_pyjwts_client_verifies_our_tokens_across_a_rotation(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    client = await api_client(process, acme)
    async with served(settings) as address, httpx.AsyncClient() as http:
        # It asks again for a key that it does not know; by default no sooner than half a minute after it last did.
        keys = CountingClient(f"{address}/.well-known/jwks.json", cooldown_duration=0)
        late = CountingClient(f"{address}/.well-known/jwks.json")

        def verify(found: CountingClient, token: str) -> str:
            key = found.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token, key, ["EdDSA"], issuer=settings.issuer, audience="leasehold:tenant-api", leeway=5
            )
            return str(claims["tenant"])

        before = await issued(http, address, acme, client)
        assert await asyncio.to_thread(verify, keys, before) == str(acme.id)
        rotation = await rotated(process)
        await _until_published(http, address, rotation.key.kid)
        assert await asyncio.to_thread(verify, late, before) == str(acme.id)
        after = await _issued_by(http, address, acme, client, rotation.key.kid)
        for found in (keys, late):
            for token in (before, after):
                assert await asyncio.to_thread(verify, found, token) == str(acme.id)
    assert keys.asked == 2  # once more, for a key that it did not know
    assert late.asked == 1  # it came during the overlap, and knew the next key before that signed


async def test_authlib_finds_the_token_endpoint_and_gets_a_token(
    settings: Settings, process: Process, acme: TenantRef
) -> None:
    client = await api_client(process, acme, "items:read", "items:write")
    port = free_port()
    issuer = f"http://localhost:{port}"
    async with served(settings, port=port, issuer=issuer), httpx.AsyncClient() as http:
        document = (await http.get(get_well_known_url(issuer, external=True))).json()
        metadata = AuthorizationServerMetadata(document)
        metadata.validate()
        assert metadata["issuer"] == issuer
        for method in metadata["token_endpoint_auth_methods_supported"]:
            token = await asyncio.to_thread(_use_as, method, metadata, acme, client)
        keys = jwt.PyJWKClient(metadata["jwks_uri"])
        key = await asyncio.to_thread(keys.get_signing_key_from_jwt, token["access_token"])
        claims = jwt.decode(
            token["access_token"], key, ["EdDSA"], issuer=issuer, audience="leasehold:tenant-api", leeway=5
        )
        assert claims["client_id"] == str(client.client_id)


def _use_as(method: str, metadata: Any, tenant: TenantRef, client: NewApiClient) -> Any:
    """Get a token by one way to authenticate, use it, and return it; authlib waits in a thread."""
    items = f"{metadata['issuer']}/v1/items"
    with OAuth2Session(
        str(client.client_id), client.client_secret, token_endpoint_auth_method=method, scope="items:read"
    ) as session:
        session.headers["X-Tenant"] = tenant.slug
        token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
        assert (token["token_type"], token["scope"]) == ("Bearer", "items:read")
        assert session.get(items).status_code == 200
        assert session.post(items, json={"title": "Desk"}).status_code == 403
    return token


async def _until_published(http: httpx.AsyncClient, address: str, kid: str) -> None:
    async with asyncio.timeout(60):
        while kid not in (await http.get(f"{address}/.well-known/jwks.json")).text:
            await asyncio.sleep(0.02)


async def _issued_by(http: httpx.AsyncClient, address: str, tenant: TenantRef, client: NewApiClient, kid: str) -> str:
    async with asyncio.timeout(_OVERLAP_S + 60):
        while kid_of(token := await issued(http, address, tenant, client)) != kid:
            await asyncio.sleep(0.1)
    return token
