"""The API describes itself: Swagger UI without an outside address, and a complete OpenAPI document."""

import re
from typing import Any

import httpx
import pytest

from tests.api.access_matrix import MATRIX

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
PUBLIC = {
    ("post", "/oauth/token"),
    ("post", "/oauth/revoke"),
    ("post", "/oauth/introspect"),
    ("post", "/platform/v1/auth/login"),
    ("post", "/platform/v1/auth/password"),
    ("post", "/v1/auth/register"),
    ("post", "/v1/auth/login"),
    ("post", "/v1/auth/refresh"),
    ("post", "/v1/auth/forgotten-password"),
    ("post", "/v1/auth/password-reset"),
    ("post", "/v1/auth/email-confirmation"),
    ("get", "/v1/tenant/exports/{export_id}/download"),
    ("get", "/health/live"),
    ("get", "/health/ready"),
    ("get", "/.well-known/jwks.json"),
    ("get", "/.well-known/oauth-authorization-server"),
}


async def document_of(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    document: dict[str, Any] = answer.json()
    return document


def operations_of(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method, path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


async def test_the_page_names_no_outside_address(http: httpx.AsyncClient) -> None:
    page = await http.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+", page.text) == []


async def test_everything_that_the_page_loads_is_served_here(http: httpx.AsyncClient) -> None:
    page = (await http.get("/docs")).text
    assets = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(assets) == 3
    for asset in assets:
        answer = await http.get(asset)
        assert answer.status_code == 200, asset
        assert len(answer.content) > 500
    types = [(await http.get(asset)).headers["content-type"].partition(";")[0] for asset in assets]
    assert types[0] == "image/png"
    assert types[1] == "text/css"
    assert types[2] in {"text/javascript", "application/javascript"}


async def test_the_style_sheet_loads_nothing_from_outside(http: httpx.AsyncClient) -> None:
    sheet = (await http.get("/docs/assets/swagger-ui.css")).text
    assert re.findall(r"@import|url\(\s*['\"]?(?:https?:)?//", sheet) == []


@pytest.mark.parametrize("name", ["nothing.js", "../__init__.py", "..%2f__init__.py", "%2e%2e/__init__.py", ""])
async def test_only_the_files_of_the_page_are_served(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.get(f"/docs/assets/{name}")).status_code == 404


@pytest.mark.parametrize(
    "path", ["/openapi", "/openapi/", "/openapi/openapi.json", "/openapi/swagger", "/openapi/redoc", "/schema"]
)
async def test_the_pages_of_the_framework_are_closed(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_every_operation_has_a_name_of_its_own_a_summary_and_a_tag(http: httpx.AsyncClient) -> None:
    operations = operations_of(await document_of(http))
    ids = [operation["operationId"] for operation in operations.values()]
    assert set(ids) == set(MATRIX)
    assert len(set(ids)) == len(ids)
    for place, operation in operations.items():
        assert operation["summary"], place
        assert len(operation["tags"]) == 1, place


async def test_every_operation_names_its_scopes_or_is_public(http: httpx.AsyncClient) -> None:
    document = await document_of(http)
    schemes = set(document["components"]["securitySchemes"])
    for place, operation in operations_of(document).items():
        if place in PUBLIC:
            assert operation["security"] == [], place
            continue
        named = [scheme for requirement in operation["security"] for scheme in requirement]
        assert named == (["admin"] if place[1].startswith("/platform") else ["client", "key"]), place
        assert schemes.issuperset(named)


async def test_every_operation_describes_its_success_and_its_errors(http: httpx.AsyncClient) -> None:
    document = await document_of(http)
    for place, operation in operations_of(document).items():
        problem = operation["responses"]["default"]["content"]
        assert list(problem) == ["application/problem+json"], place
        name = problem["application/problem+json"]["schema"]["$ref"].rpartition("/")[2]
        assert set(document["components"]["schemas"][name]["required"]) == {
            "type",
            "title",
            "status",
            "detail",
            "instance",
            "request_id",
            "errors",
        }
        assert any(status.startswith("2") for status in operation["responses"]), place


async def test_every_reference_of_the_document_leads_somewhere(http: httpx.AsyncClient) -> None:
    document = await document_of(http)
    references = set(re.findall(r'"\$ref":\s*"#/components/schemas/([^"]+)"', (await http.get("/openapi.json")).text))
    assert references
    assert references <= set(document["components"]["schemas"])


async def test_the_token_endpoint_is_described_as_a_form(http: httpx.AsyncClient) -> None:
    operation = operations_of(await document_of(http))[("post", "/oauth/token")]
    assert list(operation["requestBody"]["content"]) == ["application/x-www-form-urlencoded"]


async def test_parameters_of_lists_are_described_with_their_range(http: httpx.AsyncClient) -> None:
    operation = operations_of(await document_of(http))[("get", "/v1/items")]
    parameters = {parameter["name"]: parameter for parameter in operation["parameters"]}
    assert {"limit", "cursor", "sort", "q", "status", "tag", "owner_id", "updated_at[gte]"} <= set(parameters)
    assert parameters["sort"]["schema"]["enum"] == ["created_at", "-created_at", "updated_at", "-updated_at"]
    assert parameters["status"]["schema"]["enum"] == ["archived", "done", "open"]
    limit = parameters["limit"]["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 100, 20)
    assert not parameters["limit"].get("required")


async def test_idempotency_keys_are_described_where_they_are_taken_and_nowhere_else(http: httpx.AsyncClient) -> None:
    document = await document_of(http)
    described: set[tuple[str, str]] = set()
    for place, operation in operations_of(document).items():
        headers = {one["name"]: one for one in operation.get("parameters", []) if one["in"] == "header"}
        answered = {name for response in operation["responses"].values() for name in response.get("headers", {})}
        if "Idempotency-Key" not in headers:
            assert "Idempotent-Replayed" not in answered, place
            continue
        described.add(place)
        parameter = headers["Idempotency-Key"]
        assert parameter["required"] is False
        assert (parameter["schema"]["minLength"], parameter["schema"]["maxLength"]) == (1, 255)
        [success] = [response for status, response in operation["responses"].items() if status.startswith("2")]
        assert set(success["headers"]) - {"ETag"} == {"Idempotent-Replayed", "RateLimit", "RateLimit-Policy"}
    assert {("post", "/v1/items"), ("post", "/platform/v1/tenants"), ("post", "/v1/clients/{client_id}/rotate")} <= (
        described
    )
    assert {method for method, _ in described} == {"post"}
    assert not any(path.startswith(("/oauth", "/v1/auth")) for _, path in described)


async def test_limits_are_described_of_every_operation_that_has_them(http: httpx.AsyncClient) -> None:
    document = await document_of(http)
    unlimited: set[str] = set()
    for place, operation in operations_of(document).items():
        [success] = [response for status, response in operation["responses"].items() if status.startswith("2")]
        if "429" not in operation["responses"]:
            unlimited.add(place[1])
            assert not success["headers"], place
            continue
        refusal = operation["responses"]["429"]
        assert list(refusal["content"]) == ["application/problem+json"], place
        assert set(refusal["headers"]) == {"RateLimit", "RateLimit-Policy", "Retry-After"}, place
        assert set(success["headers"]) >= {"RateLimit", "RateLimit-Policy"}, place
    assert unlimited == {
        *("/health/live", "/health/ready"),
        *("/.well-known/jwks.json", "/.well-known/oauth-authorization-server"),
    }
    headers = set(document["components"]["headers"])
    assert headers == {"RateLimit", "RateLimit-Policy", "Retry-After", "Location"}
    schema = document["components"]["schemas"]["ProblemDocument"]
    assert schema["properties"]["violated-policies"]["type"] == "array"
    assert "violated-policies" not in schema["required"]


async def test_a_secret_is_described_as_one_that_is_shown_once(http: httpx.AsyncClient) -> None:
    secret = (await document_of(http))["components"]["schemas"]["NewApiClient"]["properties"]["client_secret"]
    assert "Null in an answer that is replayed" in secret["description"]
    assert {"type": "null"} in secret["oneOf"]


async def test_entity_tags_are_described_where_items_give_and_take_them(http: httpx.AsyncClient) -> None:
    described = operations_of(await document_of(http))
    operations = {place: operation for place, operation in described.items() if place[1].startswith("/v1/items")}
    given = {
        f"{method} {path}"
        for (method, path), operation in operations.items()
        for status, response in operation["responses"].items()
        if status.startswith("2") and "ETag" in response.get("headers", {})
    }
    taken = {
        f"{method} {path}": one["name"]
        for (method, path), operation in operations.items()
        for one in operation.get("parameters", [])
        if one["name"] in {"If-Match", "If-None-Match"}
    }
    item = "/v1/items/{item_id}"
    assert given == {"post /v1/items", f"get {item}", f"patch {item}", f"delete {item}", f"post {item}/restore"}
    assert taken == {
        f"get {item}": "If-None-Match",
        f"patch {item}": "If-Match",
        f"delete {item}": "If-Match",
        f"post {item}/restore": "If-Match",
    }
    assert "content" not in operations[("get", item)]["responses"]["304"]


async def test_the_policy_of_a_tenant_is_described_where_it_holds(http: httpx.AsyncClient) -> None:
    described = operations_of(await document_of(http))
    ours, theirs = described[("patch", "/v1/users/{user_id}")], described[("patch", "/platform/v1/plans/{plan_name}")]
    for operation, policy in ((ours, {"428"}), (theirs, set[str]())):
        [header] = [one for one in operation["parameters"] if one["name"] == "If-Match"]
        assert {"400", "412", "428"} & operation["responses"].keys() == {"400", "412"} | policy
        assert ("(428)" in header["description"]) is bool(policy)
        assert "ETag" in operation["responses"]["200"]["headers"]


async def test_every_patch_is_described_as_a_merge_patch_too(http: httpx.AsyncClient) -> None:
    bodies = {
        path: set(operation["requestBody"]["content"])
        for (method, path), operation in operations_of(await document_of(http)).items()
        if method == "patch" and path != "/v1/items/bulk"
    }
    assert len(bodies) >= 6
    assert {path: kinds for path, kinds in bodies.items() if len(kinds) != 2} == {}
    assert set.union(*bodies.values()) == {"application/json", "application/merge-patch+json"}


async def test_lines_are_described_by_what_one_may_be(http: httpx.AsyncClient) -> None:
    document = await document_of(http)
    operations, schemas = operations_of(document), document["components"]["schemas"]

    def line_of(method: str) -> str:
        content = operations[(method, "/v1/items/bulk")]["requestBody"]["content"]["application/json"]
        lines = schemas[content["schema"]["$ref"].rpartition("/")[2]]["properties"]["items"]
        assert (lines["minItems"], lines["maxItems"]) == (1, 1000)
        return lines["items"]["$ref"].rpartition("/")[2]

    assert (line_of("post"), line_of("patch")) == ("ItemCreate", "ItemChange")
    assert set(schemas["ItemChange"]["properties"]) == {
        *("id", "version", "title", "description", "status", "owner_id", "tags")
    }
    assert list(operations[("post", "/v1/items/import")]["requestBody"]["content"]) == ["application/x-ndjson"]
    assert list(operations[("get", "/v1/items/export")]["responses"]["200"]["content"]) == ["application/x-ndjson"]


async def test_every_operation_of_a_tenant_says_that_the_tenant_may_have_moved(http: httpx.AsyncClient) -> None:
    for (_, path), operation in operations_of(await document_of(http)).items():
        moved = operation["responses"].get("308")
        if path.startswith(("/v1/", "/oauth/")):
            assert moved["headers"] == {"Location": {"$ref": "#/components/headers/Location"}}, path
            assert "content" not in moved, path
        else:
            assert moved is None, path
