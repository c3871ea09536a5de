"""Where the data of a tenant lives: a schema and a role, called after an id.

A tenant's first home is called after its own id. One that is put back moves into a home that was filled beside, and
what it had is renamed after the id under which it is kept. So a name never stands for two states of a tenant, and
whoever has not heard of the move yet, or is in the middle of something, finds no such role and no such table.
"""

from dataclasses import dataclass
from uuid import UUID

from leasehold.core.ids import new_id
from leasehold.tenancy.names import quoted, role_name, schema_name


@dataclass(frozen=True, slots=True)
class Home:
    """A schema and the role that may work in it."""

    schema: str
    role: str

    @classmethod
    def of(cls, an_id: UUID) -> "Home":
        """Return the home that is called after an id."""
        return cls(schema_name(an_id), role_name(an_id))

    @classmethod
    def new(cls) -> "Home":
        """Return one that nobody has ever had."""
        return cls.of(new_id())


def renaming_sql(home: Home, to: Home, *, tenant_roles: bool) -> str:
    """Return the statements that rename a home. No right on it changes."""
    schema = f"ALTER SCHEMA {quoted(home.schema)} RENAME TO {quoted(to.schema)}"
    return f"{schema}; ALTER ROLE {quoted(home.role)} RENAME TO {quoted(to.role)}" if tenant_roles else schema
