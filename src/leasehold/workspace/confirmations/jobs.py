"""The mails by which users confirm something. A secret is made where its mail is sent, so that it waits in no queue."""

from datetime import timedelta
from typing import Literal
from uuid import UUID

from msgspec import Struct

from leasehold.core.clock import utc_now
from leasehold.core.credentials import new_secret, secret_digest
from leasehold.core.vault import InstallationKey
from leasehold.mail.links import Links
from leasehold.mail.message import Mail, Mailer
from leasehold.tenancy.bind import OpenSession, TenantSession
from leasehold.tenancy.context import TenantRef
from leasehold.tenancy.jobs.definition import NoArguments, tenant_job
from leasehold.tenancy.jobs.queue import ClaimedJob
from leasehold.workspace.auth.pepper import read_pepper
from leasehold.workspace.confirmations.repository import ConfirmationRepository
from leasehold.workspace.users.repository import UserRepository

Purpose = Literal["password", "email"]
SECRET_KINDS: dict[Purpose, str] = {"password": "reset", "email": "confirm"}
LIFETIMES: dict[Purpose, timedelta] = {"password": timedelta(hours=1), "email": timedelta(days=1)}
_SUBJECTS: dict[Purpose, str] = {"password": "Set a new password", "email": "Confirm your e-mail address"}
_PAGES: dict[Purpose, str] = {"password": "reset-password", "email": "confirm-email"}
_TEXTS: dict[Purpose, str] = {
    "password": "Somebody, hopefully you, asked for a new password.\nThis link sets one, once, within an hour:\n\n"
    "{link}\n\n"
    "If it was not you, do nothing: your password stays as it is.\n",
    "email": "This link confirms that this address is yours, once, within a day:\n\n{link}\n\n"
    "If you know nothing of it, do nothing.\n",
}


class Asked(Struct, frozen=True):
    """What to send, and to whom."""

    purpose: Purpose
    user_id: UUID | None
    """None where no user was found: then nothing is sent, and who asked cannot tell."""
    new_email: str | None = None
    """The address to confirm, where it is not the user's present one."""


@tenant_job("confirmations.send", timeout_s=60.0)
async def send_confirmation(
    arguments: Asked,
    open_session: OpenSession,
    installation_key: InstallationKey,
    links: Links,
    mailer: Mailer,
    tenant: TenantRef,
    job: ClaimedJob,
) -> None:
    """Make a secret and send it. A mail that is sent again has a secret of its own, and the former one is void."""
    if arguments.user_id is None:
        return
    secret = new_secret(SECRET_KINDS[arguments.purpose], tenant_id=tenant.id)
    async with open_session() as session:
        user = await UserRepository(session=session).get_one_or_none(id=arguments.user_id)
        if user is None or not user.is_active:
            return
        email = arguments.new_email or user.email
        await ConfirmationRepository(session=session).put(
            user.id,
            arguments.purpose,
            email=email,
            digest=secret_digest(secret, pepper=await read_pepper(session, installation_key, tenant)),
            expires_at=utc_now() + LIFETIMES[arguments.purpose],
        )
    text = _TEXTS[arguments.purpose].format(link=links.to(tenant.slug, _PAGES[arguments.purpose], secret=secret))
    await mailer.send(Mail(email, _SUBJECTS[arguments.purpose], text), message_id=f"{job.id}.{job.attempt}")


@tenant_job("confirmations.expire")
async def expire_confirmations(_arguments: NoArguments, session: TenantSession) -> None:
    """Delete the confirmations that nobody gave in time."""
    await ConfirmationRepository(session=session).delete_expired()
