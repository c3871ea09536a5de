"""Which mailer an installation has."""

from leasehold.config import Settings
from leasehold.mail.folder import FolderMailer, LogMailer
from leasehold.mail.message import Mailer
from leasehold.mail.smtp import SmtpMailer


def mailer_of(settings: Settings) -> Mailer:
    """Return the mailer that the settings name: an SMTP server, a folder, or the log alone."""
    if settings.smtp_url is not None:
        return SmtpMailer(settings.smtp_url.get_secret_value(), sender=settings.mail_from)
    if settings.mail_dir is not None:
        return FolderMailer(settings.mail_dir, sender=settings.mail_from)
    return LogMailer()
