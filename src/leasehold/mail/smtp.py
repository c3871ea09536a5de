"""Sends mails over SMTP; for production."""

from urllib.parse import unquote, urlsplit

import aiosmtplib

from leasehold.mail.message import Mail, MailRefused, message_of

_PORTS = {"smtp": 587, "smtps": 465}
_TIMEOUT_S = 20.0


class SmtpMailer:
    """Gives mails to an SMTP server, each on a connection of its own.

    `smtps://` speaks TLS from the first byte (RFC 8314), `smtp://` changes to it where the server offers STARTTLS. A
    password is only ever said over TLS: whoever sits on the line can take the offer of STARTTLS out of it.
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
            MailRefused: the server cannot be reached, did not take it, or wants a password in the clear.
        """
        client = aiosmtplib.SMTP(
            hostname=self._host, port=self._port, use_tls=self._use_tls, start_tls=None, timeout=_TIMEOUT_S
        )
        try:
            async with client:
                await self._log_in(client)
                await client.send_message(message_of(mail, sender=self._sender, message_id=message_id))
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailRefused(f"{type(error).__name__}: {error}") from error

    async def _log_in(self, client: aiosmtplib.SMTP) -> None:
        if self._password and client.get_transport_info("sslcontext") is None:
            raise MailRefused("the server does not offer STARTTLS, and a password is never sent in the clear")
        if self._username is not None:
            await client.login(self._username, self._password or "")
