"""A hint at how bad it is, and above all: no false alarms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.triage_severity import Severity, hint_severity
from service.triage_signs import SignKind, find_signs


def severity_of(title: str, text: str = "") -> Severity | None:
    hint = hint_severity(title, text)
    return hint.severity if hint else None


@pytest.mark.parametrize(
    ("text", "kind", "quote"),
    [
        ("Since 8:00 all users get error 503.", SignKind.EVERYBODY, "all users"),
        ("All users get ORA-12154 since 09:10", SignKind.EVERYBODY, "All users"),
        ("all tenants see ora-12154", SignKind.EVERYBODY, "all tenants"),
        ("everybody sees a AADSTS700082 page", SignKind.EVERYBODY, "everybody"),
        ("300 agents are getting ECONNRESET", SignKind.MANY, "300 agents"),
        ("every customer receives an ERR_CERT_AUTHORITY_INVALID", SignKind.EVERYBODY, "every customer"),
        ("Every one of them? No: all of our customers are locked out.", SignKind.EVERYBODY, "all of our customers"),
        ("The login fails for all users", SignKind.EVERYBODY, "all users"),
        ("nobody here can sign in", SignKind.EVERYBODY, "nobody here can"),
        ("Nobody of our 900 people gets in", SignKind.EVERYBODY, "Nobody of our 900 people gets"),
        ("The whole company is locked out", SignKind.EVERYBODY, "whole company"),
        ("1,200 users cannot sign in", SignKind.MANY, "1,200 users"),
        ("80% of requests fail", SignKind.MANY, "80% of requests"),
        ("Production is down since noon", SignKind.STOPPED, "Production is down"),
        ("we have a complete outage", SignKind.STOPPED, "complete outage"),
        ("you deleted our customer records", SignKind.LOST, "deleted our customer records"),
        ("she sees the invoices of other tenants", SignKind.EXPOSED, "sees the invoices of other tenants"),
        ("our api keys were leaked", SignKind.EXPOSED, "keys were leaked"),
        ("an intern pushed our api key to a public repo", SignKind.EXPOSED, "pushed our api key"),
        ("only one user has this", SignKind.NARROW, "only one user"),
        ("this is on our staging cluster", SignKind.NOT_LIVE, "our staging cluster"),
    ],
)
def test_phrases_that_say_how_bad_it_is(text: str, kind: SignKind, quote: str) -> None:
    found = find_signs(text)
    assert [(sign.kind, sign.quote) for sign in found] == [(kind, quote)]
    assert text[found[0].start : found[0].end] == quote


@pytest.mark.parametrize(
    "text",
    [
        "How do I list all users? The endpoint answers with an error",
        "The export of all users fails with 400",
        "GET all users returns 403",
        "Does this affect all users?",
        "If production is down, whom do we call?",
        "We want to avoid a complete outage during the upgrade",
        "Production is not down",
        "There was no data loss",
        "Not all users are affected",
        "Last week production was down; all good now",
        "After the outage our report is empty, total outage is over",
        "all users are happy",
        "All customers get INV-2024001 by mail",
        "All users get an API_KEY and EMAILS, all staff see KB-1001",
        "nobody changed anything",
        "everyone in the office uses Chrome",
        "We have 900 users on this plan",
        "it works with the production key",
        "how to rotate keys without a full outage",
    ],
)
def test_words_that_only_sound_bad_are_no_sign(text: str) -> None:
    assert hint_severity("", text) is None


def test_two_different_strong_signs_on_a_live_system_are_critical() -> None:
    hint = hint_severity("Production is down", "All users get error 503.")
    assert hint is not None
    assert hint.severity is Severity.CRITICAL
    assert hint.reason == (
        "“Production is down” says that a live system is down; “All users” says that everybody is affected"
    )


def test_one_strong_sign_is_high_and_exposure_alone_is_critical() -> None:
    assert severity_of("Production is down") is Severity.HIGH
    assert severity_of("Oracle connection fails", "All users get ORA-12154 since 09:10") is Severity.HIGH
    assert severity_of("", "It looks like data loss.") is Severity.HIGH
    assert severity_of("", "Our tokens have been stolen.") is Severity.CRITICAL


def test_what_speaks_against_it_is_weighed_and_told() -> None:
    hint = hint_severity("All users get error 503", "complete outage. It is on our staging system.")
    assert hint is not None
    assert hint.severity is Severity.HIGH
    assert [sign.kind for sign in hint.against] == [SignKind.NOT_LIVE]
    assert "against it, “our staging system”" in hint.reason


def test_a_contradiction_says_nothing() -> None:
    assert severity_of("everybody gets error 500", "Only one user reported it, everyone else is fine.") is None


def test_mild_signs_alone_are_low() -> None:
    assert severity_of("sign-in fails", "Only one colleague has it.") is Severity.LOW


def test_silence_is_no_hint() -> None:
    assert hint_severity("401 after key rotation", "every call answers 401 since we changed the key") is None


@given(st.text(), st.text())
def test_positions_are_those_of_subject_line_feed_and_text(title: str, text: str) -> None:
    whole = f"{title} all users get error 500\n{text}"
    for sign in find_signs(whole):
        assert whole[sign.start : sign.end] == sign.quote
