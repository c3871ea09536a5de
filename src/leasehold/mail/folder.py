"""Keeps mails instead of sending them; for development, tests and the demo."""

import asyncio
from pathlib import Path

import structlog

from leasehold.mail.message import Mail, message_of

_log = structlog.get_logger(__name__)


class FolderMailer:
    """Writes each mail as an .eml file, which any mail program opens, and says in the log that it did."""

    def __init__(self, folder: Path, *, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, mail: Mail, *, message_id: str) -> None:
        """Write a mail. One that is sent twice is there once."""
        message = message_of(mail, sender=self._sender, message_id=message_id)
        path = self._folder / f"{message_id}.eml"
        await asyncio.to_thread(_write, path, message.as_bytes())
        _log.info("mail_kept", to=mail.to, subject=mail.subject, file=str(path))


class LogMailer:
    """Only says in the log that there was a mail, and to whom; for where no other mailer was set."""

    async def send(self, mail: Mail, *, message_id: str) -> None:
        """Say that there was a mail. Its text may hold secrets, and is not logged."""
        _log.warning("mail_not_sent", to=mail.to, subject=mail.subject, message_id=message_id)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
