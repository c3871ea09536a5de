"""The mail that carries an invitation."""

from uuid import UUID

from msgspec import Struct

from leasehold.core.clock import utc_now
from leasehold.core.vault import InstallationKey
from leasehold.mail.links import Links
from leasehold.mail.message import Mail, Mailer
from leasehold.tenancy.bind import OpenSession, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import NoArguments, tenant_job
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.invitations.repository import InvitationRepository
from leasehold.workspace.invitations.service import InvitationService

_SUBJECT = "You are invited to {slug}"
_TEXT = "You are invited to join {slug}. This link accepts, once, within a week:\n\n{link}\n"


class Invited(Struct, frozen=True):
    """Which invitation to send."""

    invitation_id: UUID


@tenant_job("invitations.send", timeout_s=60.0)
async def send_invitation(
    arguments: Invited,
    open_session: OpenSession,
    installation_key: InstallationKey,
    links: Links,
    mailer: Mailer,
    tenant: TenantRef,
    job: ClaimedJob,
) -> None:
    """Give an invitation its secret and send it; one that was taken back meanwhile is not sent."""
    async with open_session() as session:
        invitation = await InvitationRepository(session=session).get_one_or_none(id=arguments.invitation_id)
        if invitation is None or invitation.expires_at <= utc_now():
            return
        pepper = await read_pepper(session, installation_key, tenant)
        secret = await InvitationService(session=session).renew_secret(invitation.id, pepper=pepper)
        email = invitation.email
    link = links.to(tenant.slug, "accept-invitation", secret=secret)
    mail = Mail(email, _SUBJECT.format(slug=tenant.slug), _TEXT.format(slug=tenant.slug, link=link))
    await mailer.send(mail, message_id=f"{job.id}.{job.attempt}")


@tenant_job("invitations.expire")
async def expire_invitations(_arguments: NoArguments, session: TenantSession) -> None:
    """Delete the invitations that nobody accepted in time."""
    await InvitationRepository(session=session).delete_expired()
