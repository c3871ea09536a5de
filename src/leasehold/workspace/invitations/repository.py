"""How invitations are read and written."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, delete, select

from leasehold.core.clock import utc_now
from leasehold.core.errors import NotFound
from leasehold.core.listing.asked import PLAIN, Asked
from leasehold.core.listing.filters import Between, Equal
from leasehold.core.listing.listing import Listing
from leasehold.core.pagination import Page, Pager
from leasehold.core.reads import Read, Reader, columns_of
from leasehold.core.repository import KeysetRepository
from leasehold.tenancy.archive.reissue import BoundToId
from leasehold.workspace.invitations import models, schemas
from leasehold.workspace.scopes import Role
from leasehold.workspace.users.schemas import SoughtEmail

INVITATIONS_BOUND_TO_ID = BoundToId(
    "invitations", "UPDATE invitations SET digest = NULL WHERE digest IS NOT NULL RETURNING email AS label"
)
"""The link in the mail names its tenant; under another id they are to be sent again."""

INVITATION_BY_ID = Read(
    select(*columns_of(models.Invitation, schemas.Invitation)).where(
        models.Invitation.id == bindparam("invitation_id")
    ),
    schemas.Invitation,
)
INVITATIONS = Listing(
    models.Invitation,
    schemas.Invitation,
    filters={
        "email": Equal(models.Invitation.email, SoughtEmail),
        "role": Equal(models.Invitation.role, Role),
        "created_at": Between(models.Invitation.created_at),
    },
)


class InvitationReads:
    """The invitations of the bound tenant, for who only reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(self, pager: Pager, asked: Asked = PLAIN) -> Page[schemas.Invitation]:
        """Return one page of invitations in the order they were made."""
        return await INVITATIONS.page(self._reader, pager, asked)

    async def find(self, invitation_id: UUID) -> schemas.Invitation:
        """Return an invitation.

        Raises:
            NotFound: there is none with this id.
        """
        invitation = await self._reader.one(INVITATION_BY_ID, invitation_id=invitation_id)
        if invitation is None:
            raise NotFound
        return invitation


class InvitationRepository(KeysetRepository[models.Invitation]):
    """The invitations of the bound tenant, for who writes."""

    model_type = models.Invitation

    async def use(self, digests: Sequence[bytes]) -> models.Invitation | None:
        """Delete and return an invitation that has not expired: of two at once, one only gets it."""
        invitation = models.Invitation
        statement = delete(invitation).where(invitation.digest.in_(digests), invitation.expires_at > utc_now())
        return await self.session.scalar(statement.returning(invitation))

    async def delete_expired(self) -> None:
        """Delete all that have expired."""
        await self.session.execute(delete(models.Invitation).where(models.Invitation.expires_at <= utc_now()))
