"""A header that names the tenant or the caller stands once: a proxy may look at one and we at the other."""

import httpx
import pytest

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import refusal_of
from tests.factories import bearer


@pytest.mark.parametrize("name", ["X-Tenant", "Authorization"])
async def test_a_header_that_is_sent_twice_is_refused(
    http: httpx.AsyncClient, process: Process, acme: TenantRef, globex: TenantRef, name: str
) -> None:
    own, other = await bearer(process, acme), await bearer(process, globex)
    twice = {
        "X-Tenant": [("X-Tenant", acme.slug), ("X-Tenant", globex.slug), ("Authorization", own["Authorization"])],
        "Authorization": [("Authorization", own["Authorization"]), ("Authorization", other["Authorization"])],
    }
    answer = await http.get("/v1/items", headers=twice[name])
    assert refusal_of(answer) == (400, "repeated-header")
