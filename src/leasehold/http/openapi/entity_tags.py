"""What the OpenAPI document says of entity tags and of what a request can be made to depend on."""

from typing import Any

from litestar.handlers import HTTPRouteHandler

from leasehold.core.preconditions import IF_MATCH_PATTERN

_ETAG: dict[str, Any] = {
    "description": "Stands for the resource as it is now; for `If-Match` and `If-None-Match`",
    "schema": {"type": "string"},
    "example": '"5f1c0a2b9d3e4f5061728394"',
}


def _parameter(name: str, description: str, **form: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **form},
        "example": _ETAG["example"],
    }


_IF_MATCH = _parameter(
    "If-Match",
    "The ETag of what the change was decided on, or `*`. If it is another by now, the answer is 412 and nothing is "
    "changed.",
    pattern=IF_MATCH_PATTERN,
)
_POLICY = " A tenant may demand the header (428)."
_IF_NONE_MATCH = _parameter("If-None-Match", "The ETag of what is known. If it is still that, the answer is 304.")


def describe_tags(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    """Say where an ETag is given, and where it is taken."""
    parameters: list[dict[str, Any]] = operation.get("parameters", [])
    takes_if_match = "precondition" in handler.parsed_fn_signature.parameters
    answered = handler.parsed_fn_signature.return_type.annotation
    has_tag = hasattr(answered, "tagged_by")
    if takes_if_match:
        policy = _POLICY if "428" in operation["responses"] else ""
        parameters = [*parameters, _IF_MATCH | {"description": _IF_MATCH["description"] + policy}]
    if has_tag and "GET" in handler.http_methods:
        parameters = [*parameters, _IF_NONE_MATCH]
        operation["responses"]["304"] = {"description": "Still the same", "headers": {"ETag": _ETAG}}
    if has_tag or (takes_if_match and answered not in {None, type(None)}):
        for status, response in operation["responses"].items():
            if status.startswith("2"):
                response.setdefault("headers", {})["ETag"] = _ETAG
    if parameters:
        operation["parameters"] = parameters
