"""What tests of plans need before they can begin: a plan, a tenant on it, and terms of its own."""

from typing import Any

import httpx

from leasehold.process import Process
from leasehold.tenancy.context import TenantRef
from tests.api.problems import FIELDS
from tests.factories import admin, new_slug

PLANS = "/platform/v1/plans"


async def decided(http: httpx.AsyncClient, process: Process, tenant: TenantRef, **terms: Any) -> dict[str, Any]:
    """Decide something for one tenant, and return what it may have then; this process knows it."""
    address = f"/platform/v1/tenants/{tenant.id}/entitlements"
    answer = await http.patch(address, headers=await admin(process), json=terms)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def plan_of(http: httpx.AsyncClient, process: Process, *tenants: TenantRef, **terms: Any) -> str:
    """Make a plan, put tenants on it, and return its name."""
    name = new_slug()
    made = await http.post(PLANS, headers=await admin(process), json={"name": name, **terms})
    assert made.status_code == 201, made.text
    for tenant in tenants:
        await decided(http, process, tenant, plan=name)
    return name


async def changed(http: httpx.AsyncClient, process: Process, plan: str, **terms: Any) -> None:
    """Change a plan; this process knows it."""
    answer = await http.patch(f"{PLANS}/{plan}", headers=await admin(process), json=terms)
    assert answer.status_code == 200, answer.text


def exceeded(answer: httpx.Response) -> tuple[str, int, int]:
    """Return limit, what is allowed and what is used, of an answer that refuses to make more."""
    document: dict[str, Any] = answer.json()
    assert answer.status_code == 403, answer.text
    assert document["type"] == "/docs/problems/limit-exceeded"
    assert set(document) == FIELDS | {"limit", "allowed", "used"}
    assert document["detail"] == f"The plan of this tenant allows no more of {document['limit']}."
    return document["limit"], document["allowed"], document["used"]
