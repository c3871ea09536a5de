"""Mails over SMTP, given to a real server: in the clear, over TLS, with a login; and servers that do not take them."""

import email
import socket
import ssl
from email import policy
from pathlib import Path
from urllib.parse import quote

import pytest

from leasehold.mail.message import Mail, MailRefused
from leasehold.mail.smtp import SmtpMailer
from tests.unit.mail.servers import LOGIN, mail_server, make_certificate

_MAIL = Mail(to="ada@acme.example", subject="Grüße", text="It is good to have you here.\n.\n")
_AS_LOGIN = f"{quote(LOGIN[0], safe='')}:{quote(LOGIN[1], safe='')}@"


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """The server's side of TLS, with a certificate that nobody trusts yet."""
    return make_certificate(tmp_path)


@pytest.fixture
def trusted(certificate: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The same, where the machine trusts the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return certificate


async def _send(url: str, *, message_id: str = "0198") -> None:
    await SmtpMailer(url, sender="Leasehold <noreply@saas.example>").send(_MAIL, message_id=message_id)


async def test_a_mail_arrives_as_it_was_meant() -> None:
    async with mail_server() as server:
        await _send(f"smtp://127.0.0.1:{server.port}")
    (raw,) = server.mails
    mail = email.message_from_bytes(raw, policy=policy.default)
    assert server.recipients == ["ada@acme.example"]
    assert (mail["Subject"], mail["From"]) == ("Grüße", "Leasehold <noreply@saas.example>")
    assert mail["Message-ID"] == "<0198@saas.example>"
    assert mail.get_content().splitlines() == ["It is good to have you here.", "."]
    assert server.encrypted == [False]


async def test_a_mail_that_is_sent_twice_has_the_same_message_id_by_which_mailboxes_know_it() -> None:
    async with mail_server() as server:
        for _ in range(2):
            await _send(f"smtp://127.0.0.1:{server.port}")
    assert {email.message_from_bytes(raw)["Message-ID"] for raw in server.mails} == {"<0198@saas.example>"}
    assert len(server.mails) == 2


async def test_the_line_is_encrypted_where_the_server_offers_it(trusted: ssl.SSLContext) -> None:
    async with mail_server(starttls=trusted) as server:
        await _send(f"smtp://127.0.0.1:{server.port}")
    assert server.encrypted == [True]


async def test_a_login_goes_over_the_encrypted_line(trusted: ssl.SSLContext) -> None:
    async with mail_server(starttls=trusted, auth_required=True) as server:
        await _send(f"smtp://{_AS_LOGIN}127.0.0.1:{server.port}")
    assert server.logins == [LOGIN]
    assert server.encrypted == [True]
    assert len(server.mails) == 1


async def test_smtps_is_encrypted_from_the_first_byte(trusted: ssl.SSLContext) -> None:
    async with mail_server(tls=trusted, auth_required=True, auth_require_tls=False) as server:
        await _send(f"smtps://{_AS_LOGIN}127.0.0.1:{server.port}")
    assert server.logins == [LOGIN]
    assert len(server.mails) == 1


async def test_a_server_without_tls_gets_neither_password_nor_mail_and_the_refusal_says_why() -> None:
    async with mail_server(auth_required=True, auth_require_tls=False) as server:
        with pytest.raises(MailRefused, match="does not offer STARTTLS, and a password is never sent in the clear"):
            await _send(f"smtp://{_AS_LOGIN}127.0.0.1:{server.port}")
    assert (server.logins, server.mails) == ([], [])


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_whose_certificate_nobody_trusts_gets_neither_mail_nor_password(
    certificate: ssl.SSLContext, scheme: str
) -> None:
    options = {"tls": certificate} if scheme == "smtps" else {"starttls": certificate}
    async with mail_server(**options) as server:
        with pytest.raises(MailRefused, match="certificate"):
            await _send(f"{scheme}://{_AS_LOGIN}127.0.0.1:{server.port}")
    assert (server.mails, server.logins) == ([], [])


async def test_a_wrong_password_is_refused_and_told_without_it(trusted: ssl.SSLContext) -> None:
    async with mail_server(starttls=trusted, auth_required=True) as server:
        with pytest.raises(MailRefused, match="535") as refused:
            await _send(f"smtp://someone:hidden@127.0.0.1:{server.port}")
    assert server.mails == []
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize("answer", ["451 try again later", "554 no such mail here"])
async def test_a_server_that_does_not_take_a_mail_is_quoted(answer: str) -> None:
    async with mail_server() as server:
        server.answer = answer
        with pytest.raises(MailRefused, match=answer[4:]):
            await _send(f"smtp://127.0.0.1:{server.port}")


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_that_is_away_is_a_refusal(scheme: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound, and nobody listens
        with pytest.raises(MailRefused, match=r"The mail cannot be sent now: \w+: "):
            await _send(f"{scheme}://127.0.0.1:{probe.getsockname()[1]}")


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leasehold.mail.smtp._TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(MailRefused, match=r"[Tt]ime"):
            await _send(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
