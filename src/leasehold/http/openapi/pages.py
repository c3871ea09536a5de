"""What is served of the OpenAPI document: itself, and Swagger UI."""

from typing import Any

from litestar import MediaType, Request, Router, get
from litestar.datastructures import State
from litestar.static_files import create_static_files_router  # pyright: ignore[reportUnknownVariableType]
from swagger_ui_bundle import swagger_ui_path

from leasehold.core.errors import NotFound
from leasehold.http.marks import IS_PUBLIC
from leasehold.http.openapi.document import document_of

_LONGEST_PATH_BYTES = 255
"""No part of a path is longer where files are (NAME_MAX)."""
SCRIPT = """
SwaggerUIBundle({url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null,
                 presets: [SwaggerUIBundle.presets.apis]});
"""
"""The one script that stands in the page itself, and that its policy allows."""
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Leasehold API</title>
<link rel="icon" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script>{SCRIPT}</script>
</body>
</html>
"""


@get("/openapi.json", opt={IS_PUBLIC: True}, include_in_schema=False, sync_to_thread=False)
def openapi_document(request: Request[Any, Any, State]) -> dict[str, Any]:
    """Return the OpenAPI document."""
    return document_of(request.app)


@get("/docs", opt={IS_PUBLIC: True}, media_type=MediaType.HTML, include_in_schema=False, sync_to_thread=False)
def swagger_page() -> str:
    """Return Swagger UI."""
    return _PAGE


def docs_assets() -> Router:
    """Return the router of Swagger UI's files."""
    return create_static_files_router(
        "/docs/assets",
        directories=[swagger_ui_path],
        before_request=_demand_a_name,
        opt={IS_PUBLIC: True},
        include_in_schema=False,
    )


def _demand_a_name(request: Request[Any, Any, State]) -> None:
    """Pass if a path can be that of a file: of other names the system complains, and the server would fail.

    Raises:
        NotFound: it cannot.
    """
    path = request.scope["path"]
    if "\0" in path or len(path.encode()) > _LONGEST_PATH_BYTES:
        raise NotFound
