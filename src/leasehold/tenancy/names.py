"""Names: what a slug may be, and how a tenant's schema and role are called after its id."""

import re
from uuid import UUID

from leasehold.core.errors import FieldError, Invalid

OWNER_ROLE = "lh_owner"
APP_ROLE = "lh_app"
TENANT_GROUP = "lh_tenant"
REFERENCE_SCHEMA = "tenant_reference"
SCRATCH_SCHEMA = "tenant_scratch"
VERSION_TABLE = "alembic_version"
NO_SLUG = "-"
"""How what stands in the place of a slug begins. No slug does, so no host, no header and no admin can name it."""

SLUG_PATTERN = r"^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$(?!\n)"
"""A DNS label (RFC 1035, section 2.3.1), so that it can be a subdomain: 1 to 63 letters, digits and inner hyphens."""

RESERVED_SLUGS = frozenset(
    [
        "account",
        "admin",
        "api",
        "app",
        "assets",
        "auth",
        "billing",
        "blog",
        "cdn",
        "console",
        "dashboard",
        "dev",
        "docs",
        "example",
        "ftp",
        "graphql",
        "health",
        "help",
        "imap",
        "internal",
        "localhost",
        "login",
        "mail",
        "metrics",
        "ns",
        "oauth",
        "openapi",
        "platform",
        "pop",
        "postgres",
        "public",
        "register",
        "root",
        "security",
        "smtp",
        "staging",
        "static",
        "status",
        "support",
        "system",
        "tenant",
        "tenants",
        "test",
        "webhooks",
        "www",
    ]
)
_SLUG = re.compile(SLUG_PATTERN)
_HOSTNAME = re.compile(r"^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$")


class InvalidSlug(Invalid):
    """The slug must be 1 to 63 lower-case letters, digits and inner hyphens, and start with a letter."""

    type = "invalid-slug"
    title = "Invalid slug"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail)
        self.errors = (FieldError("/slug", self.detail),)


class InvalidHostname(Invalid):
    """The hostname must be a full domain name in lower case, without port, and not under the installation's own."""

    type = "invalid-hostname"
    title = "Invalid hostname"

    def __init__(self) -> None:
        super().__init__()
        self.errors = (FieldError("/hostname", self.detail),)


def check_slug(slug: str) -> str:
    """Return the slug if a tenant may have it.

    Raises:
        InvalidSlug: not a DNS label in lower case, punycode, or reserved.
    """
    if not _SLUG.fullmatch(slug) or "--" in slug:
        raise InvalidSlug
    if slug in RESERVED_SLUGS:
        raise InvalidSlug(f"The slug {slug} is reserved.")
    return slug


def check_hostname(hostname: str, *, base_domain: str) -> str:
    """Return the hostname if it can be a tenant's custom domain.

    Raises:
        InvalidHostname: not a full domain name in lower case, or one that belongs to the installation.
    """
    if not _HOSTNAME.fullmatch(hostname) or f".{hostname}".endswith(f".{base_domain}"):
        raise InvalidHostname
    return hostname


def schema_name(tenant_id: UUID) -> str:
    """Return the name of a tenant's schema: immutable, for it comes from the id."""
    return f"t_{tenant_id.hex}"


def role_name(tenant_id: UUID) -> str:
    """Return the name of a tenant's role, which holds the rights on its schema and owns nothing."""
    return f"lh_t_{tenant_id.hex}"


def vacant_slug(tenant_id: UUID) -> str:
    """Return what stands in the place of a slug where a tenant has none: before it has customers, and after."""
    return f"{NO_SLUG}{tenant_id.hex}"


def reference_role(database_oid: int) -> str:
    """Return the role of the reference schema: one per database, because roles are shared by a whole cluster."""
    return f"lh_reference_{database_oid}"


def quoted(identifier: str) -> str:
    """Return a quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a quoted SQL string, for the statements that take no parameters."""
    if "\\" in text or "\0" in text:
        raise ValueError("backslashes and NUL need no place in a literal")
    return "'" + text.replace("'", "''") + "'"
