"""Former slugs: what a tenant was called until lately stays its own for a while, and is nobody else's.

Slugs in use are unique by the registry. Whoever takes one calls `take_slug` behind that, in the same transaction: the
unique index has made it wait for a tenant that was just giving the slug up, so it sees what that one has left here.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKey, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.ids import new_id
from leasehold.core.models import Identified, PlatformModel
from leasehold.tenancy.names import literal
from leasehold.tenancy.registry import Tenant

SLUG_TAKEN = frozenset({"uq_tenants_slug", "uq_former_slugs_slug"})
"""The constraints that are violated by who takes a slug that another tenant has, or had until lately."""


class FormerSlug(Identified, PlatformModel):
    """A slug that a tenant has given up, and that is its own until a moment."""

    __tablename__ = "former_slugs"

    slug: Mapped[str] = mapped_column(unique=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey(Tenant.id), index=True)
    expires_at: Mapped[datetime]


async def take_slug(session: AsyncSession, tenant_id: UUID, slug: str) -> None:
    """Pass if a tenant may have the slug that its row has now; if it was its own before, it is no former one any more.

    Raises:
        sqlalchemy.exc.IntegrityError: it was another tenant's until lately (`SLUG_TAKEN`).
    """
    await session.execute(select(func.platform.take_slug(tenant_id, slug)))


def taking_sql(tenant_id: UUID, slug: str) -> str:
    """Return the same as a statement without parameters, for the owner's transactions, which are sent as one text."""
    return f"SELECT platform.take_slug({literal(str(tenant_id))}, {literal(slug)})"


def demanding_sql(tenant_id: UUID, slug: str) -> str:
    """Return statements behind `taking_sql`, for a new tenant in a transaction that sees only what was there before it.

    There, a tenant that has just given the slug up has left something that cannot be seen. A unique index is no matter
    of what is seen: what is there is refused, and nothing is left of what was put there to find out.
    """
    owner, name = literal(str(tenant_id)), literal(slug)
    return (
        "INSERT INTO platform.former_slugs (id, slug, tenant_id, expires_at) "
        f"VALUES ({owner}, {name}, {owner}, '-infinity'); DELETE FROM platform.former_slugs WHERE id = {owner}"
    )


async def keep_former(session: AsyncSession, tenant_id: UUID, slug: str, *, kept: timedelta) -> None:
    """Keep for a tenant the slug that it has just given up; for no time if `kept` is none."""
    if not kept:
        return
    left = insert(FormerSlug).values(id=new_id(), slug=slug, tenant_id=tenant_id, expires_at=func.now() + kept)
    await session.execute(
        left.on_conflict_do_update(
            index_elements=["slug"], set_={"tenant_id": left.excluded.tenant_id, "expires_at": left.excluded.expires_at}
        )
    )


async def forget_former_slugs(session: AsyncSession) -> None:
    """Delete those whose time is over. They have been free since."""
    await session.execute(delete(FormerSlug).where(FormerSlug.expires_at <= func.now()))
