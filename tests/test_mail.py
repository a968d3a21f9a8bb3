"""What surrounds a ticket that came as a mail, and what of it was written for this question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answers import Question
from service.mail import written_lines
from service.queries import read_question, symptom_text

ASKED = "The nightly export stops at row 5,000 since Monday and nothing in the report says why it does that to us."

BANNER = (
    "[EXTERNAL EMAIL] CAUTION: This email originated from outside of the organisation. "
    "Do not click links or open attachments unless you recognise the sender."
)
DISCLAIMER = (
    "This e-mail and any attachments are confidential and intended solely for the\n"
    "addressee. If you received it in error, please notify the sender and\n"
    "delete it. Unauthorised copying of this message is strictly forbidden."
)
ADDRESS = "A. Person\nHead of Exports\nExample Ltd, 1 Some Street, Some Town\nTel: +44 20 7946 0000 | www.example.com"


@pytest.mark.parametrize(
    "text",
    [
        f"{BANNER}\n\n{ASKED}",
        f"{BANNER}\n{ASKED}",
        f"{ASKED}\n\n{DISCLAIMER}",
        f"{ASKED}\n\n{ADDRESS}",
        f"{ASKED}\n\n{ADDRESS}\n\n{DISCLAIMER}",
        f"{ASKED}\n\nSent from my telephone",
        f"Dear team,\n\n{ASKED}\n\nKind regards\n-- \nExample Ltd",
        f"{ASKED}\n\nFrom: Support\nSent: Monday\nTo: me\nSubject: RE: export\n\nWe look into it within 24 hours.",
        f"{ASKED}\n\nOn Tue, 14 Nov 2023 at 10:00 support wrote:\n> We look into it.",
        f"**Describe the issue**\n{ASKED}\n\nSeverity: P3\nAccount ID: 4471\nAttachments: none\nLogs: n/a",
        f"<p>{ASKED}</p>",
        f"<div>Hello,</div><div><br></div><div>{ASKED}</div>",
    ],
)
def test_only_what_was_asked_is_read(text: str) -> None:
    assert read_question(Question(text, "Export")) == read_question(Question(ASKED, "Export"))


@pytest.mark.parametrize(
    "text",
    [
        "Our disclaimer says that mail is confidential, and the footer shows it twice.",
        "What the log shows:\nrow 5,000 is empty",
        "The template shows <br> and a second <br> where lines should break.",
        "Call fails.\n\nPhone calls to +44 20 7946 0000 are cut off after nine seconds, on every handset we tried.",
        "Best way to find out who deleted it?\nThe audit log is empty.",
        "From: is shown as nobody\nand the mail is lost",
        "Environment: production\nPlan: business\nAccount: locked since noon\nKeyError: None",
        "It crashes.\n\nOffice 2016 16.0.4266\nMobile: 12.3.4\nwww.example.com shows nothing",
    ],
)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert symptom_text(text) == text
    assert read_question(Question(text)).body == text


def test_a_forwarded_mail_is_read() -> None:
    text = f"Please see below.\n\nFrom: A. Person\nSent: Monday\nTo: us\n\n{ASKED}"
    assert symptom_text(text) == f"Please see below.\n\n{ASKED}"


def test_a_notice_alone_is_what_was_asked() -> None:
    assert symptom_text(BANNER) == BANNER


def test_a_notice_names_no_error() -> None:
    asked = "ORA-12154 since Monday"
    views = read_question(Question(f"{asked}\n\n{DISCLAIMER}"))
    assert views.signatures == read_question(Question(asked)).signatures


@given(st.lists(st.text(max_size=60).filter(lambda line: len(line.splitlines()) < 2), max_size=12))
def test_nothing_is_added_and_the_order_stays(lines: list[str]) -> None:
    rest = iter(lines)
    assert all(any(line.rstrip() == kept for line in rest) for kept in written_lines(lines))
