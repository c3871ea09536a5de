"""Drift is found and named, and a fleet that nobody has touched has none."""

from typing import Any

import pytest

from leasehold.config import Settings
from leasehold.core.models import TenantModel
from leasehold.tenancy.fleet.drift import Drift, find_drift
from leasehold.tenancy.fleet.history import TenantHistory
from leasehold.tenancy.fleet.plan import UnknownTenantSlug
from tests.fleets import ADD_COLUMN, ADD_INDEX, LIVE, add, provision, run


async def _drift(own: Settings, *slugs: str) -> Drift:
    assert own.owner_url is not None
    history = TenantHistory.load(own.migrations_dir)
    url = own.owner_url.get_secret_value()
    return await find_drift(url, history, TenantModel.metadata, slugs, tenant_roles=True)


async def test_a_fleet_at_several_revisions_has_no_drift(own: Settings) -> None:
    tenants = await provision(own, 3)
    add(own, "0002_colour", ADD_COLUMN)
    await run(own, only=(tenants[0].slug,))
    add(own, "0003_index", ADD_INDEX)
    add(own, "0004_live", LIVE)
    await run(own, only=(tenants[1].slug,))
    found = await _drift(own)
    assert (found.tenants, found.differences) == (3, [])


@pytest.mark.parametrize(
    ("sql", "missing", "added"),
    [
        ("ALTER TABLE {0}.items ADD COLUMN extra int", (), ("column items.extra integer",)),
        (
            "ALTER TABLE {0}.items ALTER COLUMN title DROP NOT NULL",
            ("column items.title text not null",),
            ("column items.title text",),
        ),
        (
            "CREATE INDEX by_hand ON {0}.items (title)",
            (),
            ("index items CREATE INDEX by_hand ON items USING btree (title)",),
        ),
        (
            "ALTER TABLE {0}.items DROP CONSTRAINT ck_items_title_length",
            ("constraint items.ck_items_title_length CHECK (char_length(title) >= 1 AND char_length(title) <= 200)",),
            (),
        ),
        (
            "ALTER TABLE {0}.items ALTER COLUMN description SET DEFAULT 'none'",
            ("column items.description text not null default ''::text",),
            ("column items.description text not null default 'none'::text",),
        ),
        ("GRANT TRUNCATE ON {0}.items TO {1}", (), ("right items TRUNCATE tenant",)),
        ("REVOKE SELECT ON {0}.items FROM {1}", ("right items SELECT tenant",), ()),
        ("GRANT SELECT ON {0}.items TO PUBLIC", (), ("right items SELECT PUBLIC",)),
        ("REVOKE USAGE ON SCHEMA {0} FROM {1}", ("right USAGE tenant",), ()),
    ],
)
async def test_each_difference_is_named(
    own: Settings, owner: Any, sql: str, missing: tuple[str, ...], added: tuple[str, ...]
) -> None:
    touched, untouched = await provision(own, 2)
    await owner.execute(sql.format(f'"{touched.schema}"', f'"{touched.role}"'))
    (difference,) = (await _drift(own)).differences
    assert (difference.slug, difference.revision) == (touched.slug, "0001")
    assert (difference.missing, difference.added) == (missing, added)
    assert (await _drift(own, untouched.slug)).differences == []


async def test_a_tenant_that_does_not_exist_is_refused(own: Settings) -> None:
    with pytest.raises(UnknownTenantSlug):
        await _drift(own, "nobody")


async def test_looking_for_drift_leaves_nothing_behind(own: Settings, owner: Any) -> None:
    await provision(own, 1)
    await _drift(own)
    assert await owner.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_scratch'") == 0
