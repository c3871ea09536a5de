"""Requests that a proxy and a server could read differently, sent to a real server byte by byte."""

import asyncio
from urllib.parse import urlsplit

from leasehold.config import Settings
from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.factories import bearer, item
from tests.faults.serving import served

# {a} and {b} are the hosts of two tenants, {base} is that of the installation, {slug} the slug of the second tenant.
# The credential is the first tenant's.
_BODIES = "POST /v1/items HTTP/1.1\r\nHost: {base}\r\nContent-Type: application/json\r\n"
_CASES = {
    "two hosts": ("GET /v1/items HTTP/1.1\r\nHost: {base}\r\nHost: {b}\r\n", 400),
    "two hosts, one of them hidden": ("GET /v1/items HTTP/1.1\r\nHost : {b}\r\nHost: {base}\r\n", 400),
    "no host": ("GET /v1/items HTTP/1.1\r\n", 404),
    "a host with a user": ("GET /v1/items HTTP/1.1\r\nHost: {a}@{b}\r\n", 404),
    "a host with a path": ("GET /v1/items HTTP/1.1\r\nHost: {a}/{b}\r\n", 400),
    "another host in the target": ("GET http://{b}/v1/items HTTP/1.1\r\nHost: {a}\r\n", 200),
    "a header that goes on in the next line": ("GET /v1/items HTTP/1.1\r\nHost: {a}\r\n X-Tenant: {slug}\r\n", 400),
    "a header with an underscore": ("GET /v1/items HTTP/1.1\r\nHost: {base}\r\nX_Tenant: {slug}\r\n", 200),
    "two tenants": ("GET /v1/items HTTP/1.1\r\nHost: {base}\r\nX-Tenant: {slug}\r\nx-tenant: x\r\n", 400),
    "two lengths": (_BODIES + "Content-Length: 2\r\nContent-Length: 3\r\n", 400),
    "a length that is signed": (_BODIES + "Content-Length: +2\r\n", 400),
    "another coding": (_BODIES + "Transfer-Encoding: xchunked\r\n", 400),
    "a coding behind chunks": (_BODIES + "Transfer-Encoding: chunked, identity\r\n", 400),
    "a NUL in the target": ("GET /v1/items\x00 HTTP/1.1\r\nHost: {base}\r\n", 400),
    "a way out of a public folder": ("GET /docs/../v1/items HTTP/1.1\r\nHost: {base}\r\n", 404),
    "the same, encoded": ("GET /docs%2f..%2fv1%2fitems HTTP/1.1\r\nHost: {base}\r\n", 404),
    "bytes that are no text": ("GET /v1/%ff%fe HTTP/1.1\r\nHost: {base}\r\n", 404),
    "TRACE": ("TRACE /v1/items HTTP/1.1\r\nHost: {base}\r\n", 405),
    "CONNECT": ("CONNECT {b}:443 HTTP/1.1\r\nHost: {base}\r\n", 404),
    "the platform": ("GET /platform/v1/tenants HTTP/1.1\r\nHost: {base}\r\n", 401),
    "the platform on a tenant's host": ("GET /platform/v1/tenants HTTP/1.1\r\nHost: {a}\r\n", 404),
    "another method in a header": ("GET /v1/items HTTP/1.1\r\nHost: {a}\r\nX-HTTP-Method-Override: DELETE\r\n", 200),
}


async def _answers(port: int, sent: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent.encode("latin-1"))
    async with asyncio.timeout(60):
        answers = await reader.read()
    writer.close()
    return answers


async def test_nothing_that_can_be_read_in_two_ways_opens_another_tenant(
    settings: Settings, process: Process, acme: TenantRef, globex: TenantRef
) -> None:
    for tenant in (acme, globex):
        await item(process, tenant, f"of {tenant.slug}")
    credential = (await bearer(process, acme))["Authorization"]
    hosts = {name: f"{tenant.slug}.{settings.base_domain}" for name, tenant in (("a", acme), ("b", globex))}
    end = f"Authorization: {credential}\r\nConnection: close\r\n\r\n"
    async with served(settings) as address:
        port = urlsplit(address).port or 0
        for name, (sent, status) in _CASES.items():
            answer = await _answers(port, sent.format(**hosts, base=settings.base_domain, slug=globex.slug) + end)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (name, answer)
            assert answer.count(b"HTTP/1.1 ") == 1, (name, answer)
            assert f"of {globex.slug}".encode() not in answer, name
        # Chunks count where there are chunks and a length (RFC 9112, section 6.3): one body, and nothing behind it.
        both = _BODIES.format(base=settings.base_domain) + "Content-Length: 90\r\nTransfer-Encoding: chunked\r\n"
        answer = await _answers(port, f"{both}{end}2\r\n{{}}\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 422 ")
