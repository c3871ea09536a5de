"""What a mail looks like on its way, and what can be no part of one."""

import email
import re
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import msgspec
import pytest

from leasehold.mail.message import Mail, message_of

_SENDER = "Leasehold <noreply@saas.example>"


def _sent(mail: Mail, *, sender: str = _SENDER) -> EmailMessage:
    """Return a message as its receiver reads it."""
    raw = message_of(mail, sender=sender, message_id="0198").as_bytes()
    return email.message_from_bytes(raw, policy=policy.default)


def _decoded(to: str, subject: str) -> Mail:
    """Return a mail as a worker gets it."""
    return msgspec.json.decode(msgspec.json.encode({"to": to, "subject": subject, "text": "x"}), type=Mail)


def test_a_message_has_the_headers_that_rfc_5322_demands() -> None:
    sent = _sent(Mail(to="ada@acme.example", subject="Welcome", text="It is good to have you here."))
    assert (sent["From"], sent["To"], sent["Subject"]) == (_SENDER, "ada@acme.example", "Welcome")
    assert abs(parsedate_to_datetime(sent["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert sent.get_content() == "It is good to have you here.\n"
    assert sent.get_content_type() == "text/plain"


@pytest.mark.parametrize(
    ("sender", "message_id"),
    [(_SENDER, "<0198@saas.example>"), ("noreply@saas.example", "<0198@saas.example>")],
)
def test_the_message_id_is_in_the_domain_of_the_sender(sender: str, message_id: str) -> None:
    assert _sent(Mail(to="ada@acme.example", subject="x", text="x"), sender=sender)["Message-ID"] == message_id


def test_text_and_subject_may_be_in_any_language() -> None:
    mail = Mail(to="ada@acme.example", subject="Grüße aus 東京", text="Schöne Grüße\n\n.\nFrom here on: 東京\n")
    sent = _sent(mail)
    assert (sent["Subject"], sent.get_content()) == (mail.subject, mail.text)


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
@pytest.mark.parametrize("behind", ["Bcc: eve@evil.example", ""])
def test_no_header_can_be_smuggled_in_behind_an_address_or_a_subject(line_end: str, behind: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape("`$.to`")):
        _decoded(f"ada@acme.example{line_end}{behind}", "Welcome")
    with pytest.raises(msgspec.ValidationError, match=re.escape("`$.subject`")):
        _decoded("ada@acme.example", f"Welcome{line_end}{behind}")


@pytest.mark.parametrize("field", ["to", "subject"])
def test_a_second_line_is_refused_even_where_nobody_decoded_the_mail(field: str) -> None:
    fields = {"to": "ada@acme.example", "subject": "Welcome"}
    fields[field] += "\r\nBcc: eve@evil.example"
    with pytest.raises(ValueError, match="Header values may not contain linefeed or carriage return characters"):
        message_of(Mail(**fields, text="x"), sender=_SENDER, message_id="0198")


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ada",
        "ada@",
        "@acme.example",
        "ada@acme@example",
        "ada @acme.example",
        "eve,ada@acme.example",
        "ada@acme.example,eve",
        "eve;ada@acme.example",
        "<ada@acme.example>,<eve",
        "friends:ada@acme.example",
        '"ada"@acme.example',
        "a" * 321 + "@acme.example",
    ],
)
def test_a_mail_goes_to_exactly_one_address(to: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=re.escape("`$.to`")):
        _decoded(to, "Welcome")


@pytest.mark.parametrize(
    "to", ["ada@acme.example", "ada+news@mail.acme.example", "o'hara_1-2.x@localhost", "ü@ü.example"]
)
def test_usual_addresses_are_taken(to: str) -> None:
    assert _decoded(to, "Welcome").to == to
