"""What the documentation has from the code is what the code says, and nothing in it breaks clients."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from leasehold.cli.reference import openapi_document
from leasehold.core.errors import Problem
from leasehold.http.openapi.compatibility import broken_by
from leasehold.http.problems import catalogue, catalogue_as_markdown, problem_classes
from tests.api.problems import refusal_of


def test_no_client_of_the_committed_document_breaks(project: Path) -> None:
    committed = json.loads((project / "docs/reference/openapi.json").read_text())
    assert broken_by(openapi_document(), committed) == []


def test_the_committed_document_is_the_present_one(project: Path) -> None:
    committed = json.loads((project / "docs/reference/openapi.json").read_text())
    assert openapi_document() == committed, "run `just reference`"


def test_the_document_is_one_of_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(openapi_document()).iter_errors()] == []


def test_the_documented_problems_are_those_of_the_code(project: Path) -> None:
    assert (project / "docs/reference/problems.md").read_text() == catalogue_as_markdown(), "run `just reference`"


def test_a_type_is_declared_once_and_means_one_status() -> None:
    ours = [problem for problem in problem_classes() if problem.__module__.startswith("leasehold.")]
    declared = [problem for problem in ours if "type" in vars(problem)]
    assert sorted(one.type for one in declared) == sorted({one.type for one in declared})
    by_type = {one.type: one for one in declared}
    for problem in ours:
        assert problem.status == by_type[problem.type].status, problem
        assert problem.title == by_type[problem.type].title, problem


def test_every_problem_that_a_route_can_answer_is_in_the_document() -> None:
    """But for those of no operation, and those that only a command or a job meets."""
    named = set(openapi_document()["components"]["examples"])
    elsewhere = {"forbidden", "method-not-allowed", "source-not-migrated", "unavailable"}
    assert named == {one.name for one in catalogue()} - elsewhere


@pytest.mark.parametrize("problem", [one.name for one in catalogue()])
async def test_the_address_of_a_type_says_what_it_means(http: httpx.AsyncClient, problem: str) -> None:
    (found,) = [one for one in catalogue() if one.name == problem]
    page = await http.get(f"/docs/problems/{problem}")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert f"{found.status}" in page.text
    assert f"/docs/problems/{problem}" in (await http.get("/docs/problems")).text


async def test_the_address_of_no_type_is_404(http: httpx.AsyncClient) -> None:
    for name in ("nothing", "x%00", "<script>"):
        assert refusal_of(await http.get(f"/docs/problems/{name}")) == (404, "not-found")


async def test_the_type_of_an_answer_resolves(http: httpx.AsyncClient) -> None:
    refused = await http.get("/v1/items")
    assert issubclass(Problem, Exception)
    assert (await http.get(refused.json()["type"])).status_code == 200


def test_schemas_have_names_of_which_a_generator_makes_classes() -> None:
    names = set(openapi_document()["components"]["schemas"])
    assert {"Item", "ItemPage", "ItemCreate", "Tenant", "OwnTenant"} <= names
    assert [name for name in names if not name.isalnum()] == []


def test_every_operation_has_examples_that_are_valid() -> None:
    document = openapi_document()
    registry = Registry().with_resource("urn:api", Resource.from_contents(document, DRAFT202012))
    checked = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            place = f"{method} {path}"
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "cursor":  # which nobody can make up
                    continue
                demand_valid(registry, parameter["schema"], parameter["example"], f"{place} {parameter['name']}")
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for body in bodies:
                for media_type, content in body.get("content", {}).items():
                    if media_type == "application/x-ndjson":
                        for line in content["example"].splitlines():
                            demand_valid(registry, content["schema"]["contentSchema"], json.loads(line), place)
                            checked += 1
                    elif media_type != "application/zip" and not media_type.startswith("application/problem"):
                        # What /oauth/revoke answers with success is empty (RFC 7009, section 2.2).
                        assert "example" in content or place == "post /oauth/revoke", place
                        if "example" in content:
                            demand_valid(registry, content["schema"], content["example"], place)
                            checked += 1
    assert checked > 100


def demand_valid(registry: Registry, schema: dict[str, Any], example: Any, place: str) -> None:
    pointed = json.loads(json.dumps(schema).replace('"#/', '"urn:api#/'))
    errors = [error.message for error in Draft202012Validator(pointed, registry=registry).iter_errors(example)]
    assert errors == [], (place, example)
