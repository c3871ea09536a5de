"""Which mailer the settings name."""

from pathlib import Path
from typing import Any

import pytest

from leasehold.config import Settings
from leasehold.mail.choice import mailer_of
from leasehold.mail.folder import FolderMailer, LogMailer
from leasehold.mail.smtp import SmtpMailer


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({}, LogMailer),
        ({"mail_dir": Path("mail")}, FolderMailer),
        ({"smtp_url": "smtp://mail.example"}, SmtpMailer),
        ({"smtp_url": "smtps://u:p@mail.example:465", "mail_dir": Path("mail")}, SmtpMailer),
    ],
)
def test_a_server_comes_before_a_folder_and_a_folder_before_the_log(values: dict[str, Any], kind: type) -> None:
    settings = Settings(
        database_url="postgresql://x@localhost/x",  # type: ignore[arg-type]  # as the environment gives it
        installation_key="x",  # type: ignore[arg-type]  # as the environment gives it
        **values,
    )
    assert type(mailer_of(settings)) is kind
