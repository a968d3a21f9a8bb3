"""Mail as people and robots send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.connectors.contract import EventKind, Rejected, RejectedReason
from service.connectors.email import Email
from service.connectors.mail_text import header, new_text, parse_mail
from service.mail import strip_quotes
from tests.connectors.world import VENDORS, signed

CONFIG = VENDORS["email"].config


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("New.\n\nOn Tue, 14 Nov 2023 at 10:00 support wrote:\n> old", "New."),
        ("New.\n\nOn Tue, 14 Nov 2023 at 10:00,\nsupport <s@example.com> wrote:\n> old", "New."),
        ("Neu.\n\nAm 14.11.23 um 10:00 schrieb support:\n> alt", "Neu."),
        ("New.\n-----Original Message-----\nFrom: x", "New."),
        ("New.\n________________________________\nFrom: x\nSent: y", "New."),
        ("New.\n\nFrom: support\nSent: Tuesday\nTo: x\n\nold", "New."),
        ("Neu.\n\n*Von:* support\n*Gesendet:* Dienstag\n\nalt", "Neu."),
        ("New.\n-- \nName\nCompany", "New."),
        ("New.\n--\nName", "New."),
        ("New.\n\nSent from my phone", "New."),
        ("> quoted\nmy answer\n> quoted again\nand more", "my answer\nand more"),
        ("The header reads\nFrom: nobody\nand nothing else.", "The header reads\nFrom: nobody\nand nothing else."),
        ("On the second attempt it wrote to disk", "On the second attempt it wrote to disk"),
        ("---\nlog\n---", "---\nlog\n---"),
    ],
)
def test_quotations_and_signatures_are_left_out(text: str, kept: str) -> None:
    assert strip_quotes(text) == kept


def test_a_forwarded_mail_keeps_its_text() -> None:
    message = parse_mail(b"Subject: Fwd: x\n\n-----Original Message-----\nFrom: a\n\nThe API answers 401\n")
    assert "The API answers 401" in new_text(message)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Subject: =?utf-8?b?RsOpaGxlcg==?= =?iso-8859-1?q?_f=FCr?=\n\n", "Féhler für"),
        (b"Subject: =?no-such?q?x=FF?=\n\n", "xÿ"),
        (b"Subject: =?utf-8?b?broken!?=\n\n", "broken"),
        (b"Subject: folded\n over lines\n\n", "folded over lines"),
        (b"Subject: raw \xc3\xa9\n\n", "raw é"),
        (b"\n\n", ""),
    ],
)
def test_headers_are_decoded_whatever_they_hold(raw: bytes, text: str) -> None:
    assert text in header(parse_mail(raw), "Subject")


def test_the_plain_part_wins_and_attachments_do_not_count() -> None:
    message = parse_mail(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: inner\n\nattached"
        b"\n--b\nContent-Type: text/plain\nContent-Disposition: attachment\n\nlog\n--b\nContent-Type: text/html\n\n"
        b"<p>html</p>\n--b\nContent-Type: text/plain\n\nplain\n--b--\n"
    )
    assert new_text(message) == "plain"


@pytest.mark.parametrize("depth", [50, 5_000])
def test_parts_nested_without_end_are_read_or_rejected(depth: int) -> None:
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    try:
        assert new_text(parse_mail(b"Subject: x\n" + parts + b"\ntext")) == ("text" if depth == 50 else "")
    except Rejected as rejection:
        assert rejection.reason is RejectedReason.MALFORMED


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "base64", "hex", "undefined", "unicode_escape", "utf-16", "x\x00"]
)
def test_a_charset_that_is_none_falls_back_to_what_can_be_read(charset: str) -> None:
    """A codec that is quadratic in the length would not be done with this either."""
    words = b"The API answers 401 " * 9_000
    message = parse_mail(b"Content-Type: text/plain; charset=" + charset.encode() + b"\n\n" + words)
    text = new_text(message)
    assert text.startswith("The API answers") or charset == "utf-16"


@given(st.binary(max_size=400))
def test_any_bytes_are_a_mail_or_rejected(body: bytes) -> None:
    _parse(body)


MAIL_LINES = (
    "From: a@example.com", "Subject: =?utf-8?q?x", "Subject: x", "Message-ID: <>", "Message-ID: <a@b> <c@d>",
    "Content-Type: multipart/mixed", "Content-Type: multipart/mixed; boundary=b",
    "Content-Type: text/html; charset=\x01", "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: uuencode", "References: <a b> <c@d", "Reply-To: (((", "Content-Disposition: ;;;=",
    "", "--b", "--b--", "begin 666 x", "=FF=", "text", "> q",
)  # fmt: skip


@given(st.lists(st.sampled_from(MAIL_LINES), max_size=14))
def test_any_mixture_of_mail_lines_is_a_mail_or_rejected(lines: list[str]) -> None:
    _parse("\n".join(lines).encode())


def _parse(body: bytes) -> None:
    inbound = signed("email", body)
    try:
        event = Email().parse(inbound, CONFIG)
    except Rejected as rejection:
        assert rejection.reason is RejectedReason.MALFORMED
        return
    assert event.delivery_id
    (event.title + event.text).encode()


def test_long_lines_are_read_to_the_end() -> None:
    """Lines that a back-tracking pattern would never be done with."""
    lines = ["on " + "wrote " * 3_000, "am " + "schrieb " * 2_000, "from:" + " " * 9_000, "-" * 9_000]
    assert strip_quotes("\n".join(lines)).startswith("on wrote")


@pytest.mark.parametrize(
    "line",
    ["Auto-Submitted: auto-generated", "Precedence: bulk", "List-Id: <l.example.com>", "X-Autoreply: yes",
     "Return-Path: <>", "Content-Type: multipart/report; boundary=b"],
)  # fmt: skip
def test_automatic_mail_is_never_answered(line: str) -> None:
    body = f"From: a@example.com\nSubject: x\nMessage-ID: <a@b>\n{line}\n\ntext\n".encode()
    assert Email().parse(signed("email", body), CONFIG).kind is EventKind.IGNORED


def test_mail_that_says_it_is_not_automatic_is_answered() -> None:
    body = b"From: a@example.com\nSubject: x\nAuto-Submitted: no\n\ntext\n"
    assert Email().parse(signed("email", body), CONFIG).kind is EventKind.TICKET


@pytest.mark.parametrize(
    "sender",
    ["a@example.com\n\tBcc: b@example.com", "a@b@c", '"a\\nb"@example.com', "nobody", "a@exa mple.com", "<>"],
)
def test_an_address_that_could_carry_more_is_not_written_to(sender: str) -> None:
    import dataclasses

    config = dataclasses.replace(CONFIG, public_replies=True)
    body = f"From: {sender}\nSubject: x\n\ntext\n".encode()
    to = Email().parse(signed("email", body), config).reply["to"]
    assert to in {"", "a@example.com"}
