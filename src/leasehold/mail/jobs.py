"""The job that sends a mail, and how to ask for it."""

from leasehold.core.database import PlatformSession
from leasehold.mail.message import Mail, Mailer
from leasehold.tenancy.bind import TenantSession
from leasehold.tenancy.jobs.definition import job_of_either
from leasehold.tenancy.jobs.enqueue import enqueue
from leasehold.tenancy.jobs.queue import ClaimedJob


@job_of_either("mail.send", timeout_s=60.0)
async def send_mail(arguments: Mail, mailer: Mailer, job: ClaimedJob) -> None:
    """Send a mail. It may be sent again if the worker dies behind the last word of the mail server."""
    await mailer.send(arguments, message_id=str(job.id))


async def post(session: TenantSession | PlatformSession, mail: Mail) -> None:
    """Let a mail be sent once the transaction of `session` has committed."""
    await enqueue(session, send_mail, mail)
