"""The table of how much more may be made."""

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from leasehold.core.models import Identified, TenantModel
from leasehold.core.personal import goes


class LimitRoom(Identified, TenantModel):
    """How much more the tenant may certainly make of something; there is none of what is not limited.

    It is no counter. It says how much room there was when all was last counted, less what was made since; what was
    deleted since is not in it. So nothing but making has to know of it, and when it is used up all is counted again.

    It does not travel: terms of the same name may be others in another installation.
    """

    __tablename__ = "limit_rooms"
    __table_args__ = ({"info": {"travels": False, **goes("nowhere")}},)

    name: Mapped[str] = mapped_column(unique=True)
    terms: Mapped[str]
    """Under which terms it was counted. Under others it means nothing: what is not limited is made without it."""
    room: Mapped[int] = mapped_column(BigInteger)
