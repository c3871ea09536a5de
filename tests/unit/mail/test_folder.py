"""Mails that are kept instead of sent."""

import email
import io
import logging
from collections.abc import Generator
from email import policy
from pathlib import Path

import pytest
import structlog

from leasehold.core.log import configure_logging
from leasehold.mail import folder
from leasehold.mail.folder import FolderMailer, LogMailer
from leasehold.mail.message import Mail

_MAIL = Mail(to="ada@acme.example", subject="Your link", text="https://acme.example/reset?token=not-for-the-log")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Generator[io.TextIOWrapper]:
    """Where everything is logged; the configuration of the process comes back at the end."""
    before, handlers, level = structlog.get_config(), [*logging.root.handlers], logging.root.level
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    configure_logging(level="debug", form="json", stream=stream, is_final=False)
    # The module's own logger may have been bound for good to where another test let it write.
    monkeypatch.setattr(folder, "_log", structlog.get_logger())
    yield stream
    structlog.configure(**before)
    logging.basicConfig(handlers=handlers, level=level, force=True)


def _files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def _text_of(log: io.TextIOWrapper) -> str:
    log.seek(0)
    return log.read()


async def test_a_mail_is_kept_as_a_file_that_mail_programs_open(tmp_path: Path) -> None:
    await FolderMailer(tmp_path / "new" / "mail", sender="noreply@saas.example").send(_MAIL, message_id="0198")
    assert _files_in(tmp_path / "new" / "mail") == ["0198.eml"]
    kept = email.message_from_bytes((tmp_path / "new" / "mail" / "0198.eml").read_bytes(), policy=policy.default)
    assert (kept["To"], kept["Subject"], kept["From"]) == (_MAIL.to, _MAIL.subject, "noreply@saas.example")


async def test_a_mail_that_is_sent_twice_is_there_once_and_another_beside_it(tmp_path: Path) -> None:
    mailer = FolderMailer(tmp_path, sender="noreply@saas.example")
    for message_id in ("0198", "0198", "0199"):
        await mailer.send(_MAIL, message_id=message_id)
    assert _files_in(tmp_path) == ["0198.eml", "0199.eml"]


async def test_the_log_tells_of_a_kept_mail_and_not_what_it_says(tmp_path: Path, log: io.TextIOWrapper) -> None:
    await FolderMailer(tmp_path, sender="noreply@saas.example").send(_MAIL, message_id="0198")
    assert "0198.eml" in _text_of(log)
    assert "not-for-the-log" not in _text_of(log)


async def test_without_a_mailer_the_log_tells_that_a_mail_was_not_sent_and_not_what_it_says(
    log: io.TextIOWrapper,
) -> None:
    await LogMailer().send(_MAIL, message_id="0198")
    assert '"mail_not_sent"' in _text_of(log)
    assert "ada@acme.example" in _text_of(log)
    assert "not-for-the-log" not in _text_of(log)
