"""What every error looks like, and how tests on HTTP name what they expect of one."""

from typing import Any

import httpx

FIELDS = {"type", "title", "status", "detail", "instance", "request_id", "errors"}


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """Return the problem document of an answer, which must be one in every respect."""
    assert response.headers["content-type"].partition(";")[0] == "application/problem+json", response.text
    document: dict[str, Any] = response.json()
    assert set(document) == FIELDS
    assert document["status"] == response.status_code
    assert document["instance"] == response.request.url.path
    assert document["request_id"] == response.headers["request-id"]
    assert document["title"]
    assert document["detail"]
    return document


def refusal_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and type of a problem, the type without its prefix."""
    document = problem_of(response)
    prefix, _, kind = document["type"].rpartition("/")
    assert prefix == "/docs/problems"
    return response.status_code, kind


def pointers_of(response: httpx.Response) -> list[str]:
    """Return where the faults of the input are, sorted."""
    return sorted(error["pointer"] for error in problem_of(response)["errors"])


def on(slug: str, path: str) -> str:
    """Return the URL of a path on a tenant's own host."""
    return f"https://{slug}.leasehold.test{path}"
