"""What the feed reads, without a database."""

import asyncio
from typing import Any
from uuid import UUID

from leasehold.tenancy.feed import known_tenants


def _row(number: int) -> dict[str, Any]:
    terms = {"plan": "default", "limits": "{}", "features": "{}", "rates": "{}", "terms": "default/1/1"}
    names = {"slug": f"t-{number}", "schema_name": f"t_{number}", "role_name": f"lh_t_{number}"}
    slugs = {"hostnames": [f"{number}.example"], "former_slugs": ["old"], "former_slugs_left_s": [5.0]}
    state = {"state": "active", "revision": "0001", "served_by": None}
    return {"id": UUID(int=number), **names, **state, **terms, **slugs}


async def test_others_have_their_turn_while_the_tenants_of_a_changed_plan_are_read() -> None:
    rows: Any = [_row(number) for number in range(2600)]
    reading = asyncio.create_task(known_tenants(rows, 100.0))
    turns = 0
    while not reading.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 5
    found = await reading
    assert [tenant.id.int for tenant, *_ in found] == list(range(2600))
    assert found[7][1:] == (["7.example"], {"old": 105.0})
