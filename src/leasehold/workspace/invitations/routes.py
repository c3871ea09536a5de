"""`/v1/invitations`."""

from uuid import UUID

from litestar import Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from leasehold.core.actor import Actor
from leasehold.core.listing.asked import Asked
from leasehold.core.pagination import DEFAULT_LIMIT, Cursors, Page, Pager
from leasehold.core.parameters import CursorText, Limit
from leasehold.core.preconditions import Precondition
from leasehold.tenancy.bind import TenantReader, TenantSession
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.workspace.invitations.jobs import Invited, send_invitation
from leasehold.workspace.invitations.repository import INVITATIONS, InvitationReads
from leasehold.workspace.invitations.schemas import Invitation, InvitationCreate
from leasehold.workspace.invitations.service import AlreadyInvited, InvitationService
from leasehold.workspace.users.service import EmailTaken


@get("/", operation_id="listInvitations", summary="List invitations", lists=INVITATIONS, scopes=("users:read",))
async def list_invitations(
    reader: NamedDependency[TenantReader],
    cursors: NamedDependency[Cursors],
    asked: NamedDependency[Asked],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[Invitation]:
    """Return one page of the invitations that were not accepted yet, in the order they were made, or another."""
    return await InvitationReads(reader).page(Pager(cursors, limit, cursor), asked)


@post(
    "/",
    operation_id="createInvitation",
    summary="Invite somebody",
    problems=(AlreadyInvited, EmailTaken),
    scopes=("users:write",),
)
async def create_invitation(
    data: JSONBody[InvitationCreate],
    session: NamedDependency[TenantSession],
    actor: NamedDependency[Actor],
) -> Invitation:
    """Invite somebody by mail, for a week; the role may give no more than the caller holds."""
    made = await InvitationService(session=session).invite(email=data.email, role=data.role, by=actor)
    await enqueue(session, send_invitation, Invited(made.id))
    return made


@get("/{invitation_id:uuid}", operation_id="getInvitation", summary="Get an invitation", scopes=("users:read",))
async def get_invitation(invitation_id: FromPath[UUID], reader: NamedDependency[TenantReader]) -> Invitation:
    """Return one invitation."""
    return await InvitationReads(reader).find(invitation_id)


@delete(
    "/{invitation_id:uuid}", operation_id="deleteInvitation", summary="Take an invitation back", scopes=("users:write",)
)
async def delete_invitation(
    invitation_id: FromPath[UUID],
    session: NamedDependency[TenantSession],
    precondition: NamedDependency[Precondition],
    actor: NamedDependency[Actor],
) -> None:
    """Take an invitation back; its link is void at once."""
    await InvitationService(session=session).take_back(invitation_id, precondition=precondition, by=actor)


router = Router(
    "/invitations",
    route_handlers=[list_invitations, create_invitation, get_invitation, delete_invitation],
    tags=["invitations"],
)
