"""Sends mails over SMTP; for production."""

from urllib.parse import unquote, urlsplit

import aiosmtplib

from leasehold.mail.message import Mail, MailRefused, message_of

_PORTS = {"smtp": 587, "smtps": 465}
_TIMEOUT_S = 20.0


class SmtpMailer:
    """Gives mails to an SMTP server, each on a connection of its own.

    `smtps://` speaks TLS from the first byte (RFC 8314), `smtp://` changes to it where the server offers STARTTLS.
    """

    def __init__(self, url: str, *, sender: str) -> None:
        parts = urlsplit(url)
        self._sender = sender
        self._host = parts.hostname or "localhost"
        self._port = parts.port or _PORTS[parts.scheme]
        self._use_tls = parts.scheme == "smtps"
        self._username = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None

    async def send(self, mail: Mail, *, message_id: str) -> None:
        """Send a mail.

        Raises:
            MailRefused: the server cannot be reached, or did not take it.
        """
        try:
            await aiosmtplib.send(
                message_of(mail, sender=self._sender, message_id=message_id),
                hostname=self._host,
                port=self._port,
                username=self._username,
                password=self._password,
                use_tls=self._use_tls,
                timeout=_TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailRefused(f"{type(error).__name__}: {error}") from error
