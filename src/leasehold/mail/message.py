"""A mail, and what sends one."""

from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from leasehold.core.clock import utc_now

# One address and no more: what divides addresses in a header is left out, and what ends a line. `$` would let one pass.
_ADDRESS = r"^[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+\Z"
_ONE_LINE = r"^[^\x00-\x1f\x7f\x85\u2028\u2029]+\Z"


class Mail(Struct, frozen=True):
    """A mail in plain text. Its sender is the installation's."""

    to: Annotated[str, Meta(min_length=3, max_length=320, pattern=_ADDRESS)]
    subject: Annotated[str, Meta(min_length=1, max_length=200, pattern=_ONE_LINE)]
    text: str


class MailRefused(RuntimeError):
    """The mail cannot be sent now: {reason}."""

    def __init__(self, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(reason=reason))


class Mailer(Protocol):
    """Sends mails."""

    async def send(self, mail: Mail, *, message_id: str) -> None:
        """Send a mail. One that is sent twice has the same `message_id`, by which mailboxes show it once.

        Raises:
            MailRefused: it was not accepted; trying again later may help.
        """
        ...


def message_of(mail: Mail, *, sender: str, message_id: str) -> EmailMessage:
    """Return a mail as RFC 5322 has it; its `Message-ID` is in the domain of the sender."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, mail.to, mail.subject
    message["Date"] = format_datetime(utc_now())
    message["Message-ID"] = f"<{message_id}@{domain}>"
    message.set_content(mail.text)
    return message
