"""Sends requests on that come to the former slug of a tenant, to the host that it has now."""

import re
from typing import Any, cast
from urllib.parse import quote, urlsplit

from litestar import Request, Response
from litestar.datastructures import State
from litestar.enums import MediaType
from litestar.types import Scope

from leasehold.config import networks_of
from leasehold.http.address import forwarded_scheme
from leasehold.process import Process
from leasehold.tenancy.resolve import hostname_of, moved_tenant

_PORT = re.compile(r":[0-9]{1,5}$")
_AS_SENT = "/?:@!$&'()*+,;=-._~%[]"
"""What stays as it is in an address: all that may stand there (RFC 3986, section 3.3 and 3.4), and what is encoded."""


class TenantMoved(Exception):
    """The tenant has another slug now."""

    def __init__(self, location: str) -> None:
        super().__init__(self.__doc__)
        self.location = location


class MovedHosts:
    """The hosts of former slugs, which answer no request themselves."""

    def __init__(self, process: Process) -> None:
        self._directory = process.directory
        self._window = process.window
        self._base_domain = process.settings.base_domain
        self._scheme = urlsplit(process.settings.issuer).scheme
        self._trusted = networks_of(process.settings.trusted_proxies)

    def demand_present(self, scope: Scope) -> None:
        """Pass unless the host of a request is that of a former slug. Credentials are not looked at.

        Raises:
            TenantMoved: it is.
            Problem: a request for that tenant would be refused where it is now, whose name is then told to nobody.
        """
        header = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        tenant = moved_tenant(
            self._directory, host=hostname_of(header), base_domain=self._base_domain, window=self._window
        )
        if tenant is None:
            return
        scheme = forwarded_scheme(scope, trusted=self._trusted) or self._scheme
        port = _PORT.search(header.strip())
        host = f"{tenant.slug}.{self._base_domain}{port[0] if port else ''}"
        raise TenantMoved(f"{scheme}://{host}{_target_of(scope)}")


def on_moved(_request: Request[Any, Any, State], error: TenantMoved) -> Response[bytes]:
    """Answer where the tenant is now (RFC 9110, section 15.4.9). As every answer, it is kept by nobody."""
    return Response(b"", status_code=308, media_type=MediaType.TEXT, headers={"Location": error.location})


def _target_of(scope: Scope) -> str:
    """Return path and query of a request as they were sent."""
    path = cast("dict[str, Any]", scope).get("raw_path") or scope["path"].encode()
    query = scope["query_string"]
    return quote(path + (b"?" + query if query else b""), safe=_AS_SENT)
