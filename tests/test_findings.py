"""What a ticket's text already tells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.findings import MAX_QUOTE_CHARS, Detail, find_details


def quotes(text: str, detail: Detail) -> list[str]:
    return [finding.quote for finding in find_details(text) if finding.detail is detail]


@pytest.mark.parametrize(
    ("text", "detail", "quote"),
    [
        ("it stopped at 2026-11-03T06:00:02Z", Detail.TIME, "2026-11-03T06:00:02Z"),
        ("since 09:10 UTC", Detail.TIME, "09:10 UTC"),
        ("since 9 am CET every call fails", Detail.TIME, "9 am CET"),
        ("agent 3.4.1 on the host", Detail.VERSION, "agent 3.4.1"),
        ("your CLI v2.11.0-rc1 says", Detail.VERSION, "CLI v2.11.0-rc1"),
        ("we run release 2211", Detail.VERSION, "release 2211"),
        ("Chrome 130 on Windows 11", Detail.BROWSER, "Chrome 130"),
        ("Chrome 130 on Windows 11", Detail.SYSTEM, "Windows 11"),
        ("request id: 5f0c7c9d6a7b4e0f", Detail.REQUEST_ID, "request id: 5f0c7c9d6a7b4e0f"),
        ("X-Request-ID=abc-123-def", Detail.REQUEST_ID, "X-Request-ID=abc-123-def"),
        ('our workspace is "acme-eu"', Detail.TENANT, 'workspace is "acme-eu'),
        ("as soon as I click Save it is gone", Detail.STEPS, "as soon as I click"),
        ("1. open the page\n2. press Export\n", Detail.STEPS, "1. open the page"),
        ("POST /v1/items?limit=5 answers so", Detail.ADDRESS, "POST /v1/items?limit=5"),
        ("3 of 40 agents", Detail.EXTENT, "3 of 40"),
        ("since we upgraded the proxy", Detail.CHANGE, "since we upgraded"),
        ("delivery evt_9f31c2 never came", Detail.OBJECT_ID, "evt_9f31c2"),
        ("from 203.0.113.9 only", Detail.NETWORK_ADDRESS, "203.0.113.9"),
        ("see attached failing-login.har", Detail.HAR, "failing-login.har"),
        ("it says ORA-12154", Detail.ERROR_TEXT, "it says ORA-12154"),
        ("psycopg2.errors.X: ERROR:  cannot do it", Detail.ERROR_TEXT, "psycopg2.errors.X: ERROR: cannot do it"),
        ('the page shows "Your session has expired"', Detail.ERROR_TEXT, "Your session has expired"),
        ("06:00:01 start\n06:00:02 push failed", Detail.LOG, "06:00:01 start"),
    ],
)
def test_each_kind_of_detail_is_found_and_quoted(text: str, detail: Detail, quote: str) -> None:
    assert quotes(text, detail) == [quote]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("bounced with 550 5.7.26", Detail.VERSION),
        ("from 203.0.113.9", Detail.VERSION),
        ("we have 40 agents", Detail.VERSION),
        ("send the request id please", Detail.REQUEST_ID),
        ("your tenant is slow", Detail.TENANT),
        ("connect to 192.0.2.1:443", Detail.TIME),
        ("during the maintenance windows", Detail.SYSTEM),
        ("I cannot log in to my account", Detail.ERROR_TEXT),
        ("the client_id is in the form", Detail.ERROR_TEXT),
    ],
)
def test_what_only_looks_like_a_detail_is_not_taken_for_one(text: str, detail: Detail) -> None:
    assert quotes(text, detail) == []


def test_a_programs_message_tells_nobody_who_is_affected() -> None:
    assert quotes("FATAL: sorry, too many clients already", Detail.EXTENT) == []
    assert quotes("FATAL: sorry, too many clients already\nfor all users since noon", Detail.EXTENT) == ["all users"]


def test_a_time_without_a_zone_is_incomplete() -> None:
    found = find_details("first at 09:10, again at 09:20 UTC")
    assert [(finding.quote, finding.is_complete) for finding in found] == [("09:20 UTC", True), ("09:10", False)]


def test_many_findings_and_long_lines_are_cut() -> None:
    found = find_details("\n".join(f"2026-01-01T00:00:0{i}Z ERROR E{i}: refused {'x' * 300}" for i in range(9)))
    assert sum(finding.detail is Detail.TIME for finding in found) == 3
    assert max(len(finding.quote) for finding in found) == MAX_QUOTE_CHARS


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    found = find_details(text)
    assert len(set(found)) == len(found)
