"""A rule of the database that no service has foreseen is still a refusal that names the field, and never a 500.

The rules are real ones, laid on a tenant's own tables and taken away again.
"""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest
from sqlalchemy import update

from leasehold.config import Settings
from leasehold.core.database import driver_url
from leasehold.core.sqlstate import ValueRefused
from leasehold.process import Process
from leasehold.tenancy.bind import open_tenant_session
from leasehold.tenancy.context import TenantRef
from leasehold.workspace.items.models import Item
from tests.api.problems import pointers_of, problem_of, refusal_of
from tests.factories import admin, bearer, item, new_slug
from tests.people import user

TAKEN = (409, "conflict")
REFUSED = (422, "validation-failed")
INNER = "an inner secret"
_RAISING = f"""
CREATE FUNCTION raise_title() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '{INNER}' USING ERRCODE = NEW.title, DETAIL = '{INNER}', HINT = '{INNER}'; END $$;
CREATE TRIGGER raise_title BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION raise_title()
"""


@asynccontextmanager
async def ruled(settings: Settings, schema: str, rule: str, *, end: str) -> AsyncGenerator[None]:
    """Lay a rule on the tables of a schema, and take it away at the end."""
    assert settings.owner_url is not None
    connection = await asyncpg.connect(driver_url(settings.owner_url.get_secret_value()))
    try:
        await connection.execute(f'SET search_path = "{schema}"')
        await connection.execute(rule)
        try:
            yield
        finally:
            await connection.execute(end)
    finally:
        await connection.close()


def demand_discretion(refused: httpx.Response, *words: str) -> None:
    """Fail if an answer says anything of the inside."""
    # An id is hexadecimal, and may well hold the digits of an SQLSTATE.
    said = refused.text.replace(refused.request.url.path, "").replace(refused.headers["request-id"], "")
    for word in (INNER, "items", "constraint", "relation", "violates", "SQL", *words):
        assert word not in said


@pytest.mark.parametrize(
    ("rule", "name", "expected", "pointers"),
    [
        ("UNIQUE (title)", "uq_items_title", TAKEN, ["/title"]),
        ("UNIQUE (title, status)", "uq_items_title_status", TAKEN, ["/status", "/title"]),
        ("EXCLUDE (title WITH =)", "ex_items_title", TAKEN, ["/title"]),
        ("CHECK (title <> 'Desk') NOT VALID", "ck_items_title_word", REFUSED, ["/title"]),
        ("CHECK (title <> 'Desk') NOT VALID", "whatever", REFUSED, []),
        ("CHECK (version > 1) NOT VALID", "ck_items_version", REFUSED, []),
        ("FOREIGN KEY (title) REFERENCES users (email) NOT VALID", "fk_items_title", REFUSED, ["/title"]),
    ],
    ids=["unique", "together", "exclude", "check", "without a name", "no field", "reference"],
)
async def test_a_rule_that_no_service_knows_names_the_field(
    http: httpx.AsyncClient,
    process: Process,
    settings: Settings,
    acme: TenantRef,
    globex: TenantRef,
    rule: str,
    name: str,
    expected: tuple[int, str],
    pointers: list[str],
) -> None:
    await item(process, acme)
    adding, dropping = (f"ALTER TABLE items {act} CONSTRAINT {name}" for act in ("ADD", "DROP"))
    async with ruled(settings, acme.schema, f"{adding} {rule}", end=dropping):
        refused = await http.post("/v1/items", headers=await bearer(process, acme), json={"title": "Desk"})
        assert refusal_of(refused) == expected
        assert pointers_of(refused) == pointers
        demand_discretion(refused, name)
        # Of many, no line can be named, and all stand or fall together.
        lines = [{"title": "Chair"}, {"title": "Desk"}]
        many = await http.post("/v1/items/bulk", headers=await bearer(process, acme), json={"items": lines})
        assert (refusal_of(many), pointers_of(many)) == (TAKEN if "FOREIGN" in rule else expected, [])
        made = await http.post("/v1/items", headers=await bearer(process, globex), json={"title": "Desk"})
        assert made.status_code == 201
    listed = await http.get("/v1/items", headers=await bearer(process, acme))
    assert [one["title"] for one in listed.json()["items"]] == ["Desk"]


async def test_a_text_that_is_too_long_for_an_index_is_named(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    body = {"title": "Desk", "description": secrets.token_hex(4000)}
    rule = "ALTER TABLE items ADD CONSTRAINT uq_items_description UNIQUE (description)"
    async with ruled(settings, acme.schema, rule, end="ALTER TABLE items DROP CONSTRAINT uq_items_description"):
        refused = await http.post("/v1/items", headers=await bearer(process, acme), json=body)
        assert (refusal_of(refused), pointers_of(refused)) == (REFUSED, ["/description"])
        assert problem_of(refused)["errors"][0]["detail"] == "is too long"
        demand_discretion(refused, "uq_items_description")


async def test_a_change_that_breaks_a_rule_names_the_field(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    path, headers = f"/v1/items/{(await item(process, acme)).id}", await bearer(process, acme)
    rule = "ALTER TABLE items ADD CONSTRAINT ck_items_tags_some CHECK (cardinality(tags) > 0) NOT VALID"
    async with ruled(settings, acme.schema, rule, end="ALTER TABLE items DROP CONSTRAINT ck_items_tags_some"):
        refused = await http.patch(path, headers=headers, json={"tags": None, "status": "done"})
        assert (refusal_of(refused), pointers_of(refused)) == (REFUSED, ["/tags"])
    assert (await http.get(path, headers=headers)).json()["status"] == "open"


async def test_a_value_that_must_be_there_is_named(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    rule, end = (f"ALTER TABLE items ALTER owner_id {act} NOT NULL" for act in ("SET", "DROP"))
    async with ruled(settings, acme.schema, rule, end=end):
        refused = await http.post("/v1/items", headers=await bearer(process, acme), json={"title": "Desk"})
        assert (refusal_of(refused), pointers_of(refused)) == (REFUSED, ["/owner_id"])
        assert problem_of(refused)["errors"][0]["detail"] == "must not be null"


async def test_a_reference_that_the_request_does_not_name_is_a_conflict(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    rule = "ALTER TABLE items ADD CONSTRAINT fk_items_id FOREIGN KEY (id) REFERENCES users (id) NOT VALID"
    async with ruled(settings, acme.schema, rule, end="ALTER TABLE items DROP CONSTRAINT fk_items_id"):
        refused = await http.post("/v1/items", headers=await bearer(process, acme), json={"title": "Desk"})
        assert (refusal_of(refused), pointers_of(refused)) == (TAKEN, [])
        assert problem_of(refused)["detail"] == "Something that this refers to is not there, or not any more."


@pytest.mark.parametrize("how", ["NO ACTION", "RESTRICT"])
async def test_what_something_else_refers_to_is_not_deleted(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef, how: str
) -> None:
    path, headers = f"/v1/users/{(await user(process, acme)).id}", await bearer(process, acme)
    rule = (
        f"CREATE TABLE badges (user_id uuid REFERENCES users ON DELETE {how}); INSERT INTO badges SELECT id FROM users"
    )
    async with ruled(settings, acme.schema, rule, end="DROP TABLE badges"):
        refused = await http.delete(path, headers=headers)
        assert (refusal_of(refused), pointers_of(refused)) == (TAKEN, [])
        assert problem_of(refused)["detail"] == "Something else still refers to this."
        demand_discretion(refused, "badges", "user_id")
    assert (await http.delete(path, headers=headers)).status_code == 204


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("22001", REFUSED),
        ("22003", REFUSED),
        ("22007", REFUSED),
        ("22008", REFUSED),
        ("22021", REFUSED),
        ("22P02", REFUSED),
        ("22P05", REFUSED),
        ("23502", REFUSED),
        ("23514", REFUSED),
        ("23503", TAKEN),
        ("23505", TAKEN),
        ("40001", (503, "too-slow")),
        ("40P01", (503, "too-slow")),
        ("55P03", (503, "too-slow")),
        ("57014", (503, "too-slow")),
        ("53100", (503, "database-unavailable")),
        ("53200", (503, "database-unavailable")),
        ("53300", (503, "database-unavailable")),
        ("57P01", (503, "database-unavailable")),
        ("42501", (500, "internal-error")),
        ("P0001", (500, "internal-error")),
        ("XX000", (500, "internal-error")),
    ],
)
async def test_each_error_of_postgresql_is_what_a_client_can_make_of_it(
    http: httpx.AsyncClient,
    process: Process,
    settings: Settings,
    acme: TenantRef,
    sqlstate: str,
    expected: tuple[int, str],
) -> None:
    headers = await bearer(process, acme)
    async with ruled(settings, acme.schema, _RAISING, end="DROP FUNCTION raise_title CASCADE"):
        refused = await http.post("/v1/items", headers=headers, json={"title": sqlstate})
        assert (refusal_of(refused), pointers_of(refused)) == (expected, [])
        assert ("retry-after" in refused.headers) is (expected[0] == 503)
        demand_discretion(refused, sqlstate)
    assert (await http.post("/v1/items", headers=headers, json={"title": sqlstate})).status_code == 201


async def test_a_number_that_no_column_holds_is_refused_before_it_is_sent(process: Process, acme: TenantRef) -> None:
    await item(process, acme)
    with pytest.raises(ValueRefused):
        async with open_tenant_session(process.database, acme) as session:
            await session.execute(update(Item).values(version=2**63))


async def test_a_rule_on_tenants_names_the_field_to_who_makes_and_who_renames_one(
    http: httpx.AsyncClient, process: Process, settings: Settings, acme: TenantRef
) -> None:
    headers, slug = await admin(process), new_slug()
    rule = "ALTER TABLE tenants ADD CONSTRAINT ck_tenants_name_word CHECK (name <> 'Unwanted') NOT VALID"
    async with ruled(settings, "platform", rule, end="ALTER TABLE tenants DROP CONSTRAINT ck_tenants_name_word"):
        made = await http.post("/platform/v1/tenants", headers=headers, json={"slug": slug, "name": "Unwanted"})
        renamed = await http.patch(f"/platform/v1/tenants/{acme.id}", headers=headers, json={"name": "Unwanted"})
        for refused in (made, renamed):
            assert (refusal_of(refused), pointers_of(refused)) == (REFUSED, ["/name"])
            demand_discretion(refused, "ck_tenants_name_word")
    made = await http.post("/platform/v1/tenants", headers=headers, json={"slug": slug, "name": "Unwanted"})
    assert made.status_code == 201
