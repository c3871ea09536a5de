"""Holds every answer of a test's client against the OpenAPI document: nothing is answered that is not described."""

import re
from typing import Any

import httpx

from leasehold.http.openapi.document import document_of
from leasehold.http.request_log import RequestLog

_PREFIX = "/docs/problems/"


class Documented:
    """A hook for a client, to be called with each answer."""

    def __init__(self, app: RequestLog) -> None:
        document = document_of(app.app)
        self._operations = [
            (method.upper(), re.compile(re.sub(r"{[^}]+}", "[^/]+", path) + "/?"), operation)
            # `/v1/items/export` before `/v1/items/{item_id}`, which it looks like.
            for path, operations in sorted(document["paths"].items(), key=lambda one: one[0].count("{"))
            for method, operation in operations.items()
        ]

    async def __call__(self, answer: httpx.Response) -> None:
        """Fail if the operation that was asked for does not describe this answer."""
        path = answer.request.url.path
        for method, pattern, operation in self._operations:
            if method == answer.request.method and pattern.fullmatch(path):
                await answer.aread()
                self._hold(operation, answer)
                return

    def _hold(self, operation: dict[str, Any], answer: httpx.Response) -> None:
        place, responses = operation["operationId"], operation["responses"]
        described = responses.get(str(answer.status_code))
        assert described is not None, f"{place} does not say that it answers {answer.status_code}: {answer.text}"
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        contents = described.get("content", {})
        if media_type == "application/problem+json":
            kind = answer.json()["type"].removeprefix(_PREFIX)
            named = contents.get(media_type, {}).get("examples", {})
            assert kind in named, f"{place} does not say that it answers {kind}"
        elif answer.content:
            assert media_type in contents, f"{place} does not say that it answers {media_type}"
