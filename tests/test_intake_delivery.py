"""One call to a vendor, over real HTTP: what each outcome means, when to try again, and where never to call."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from service.connectors.contract import ConnectorConfig, Outbound
from service.connectors.registry import CONNECTORS
from service.intake import delivery
from service.intake.config import Configured, origin_of
from service.intake.delivery import (
    BACKOFF_MOST_S,
    SETTLE_S,
    Delivered,
    Refused,
    Sender,
    TryLater,
    backoff_s,
    call_keys,
    check_target,
    judge_status,
    retry_after_s,
)
from tests.intake_world import CALLBACK_SECRET, Answer, Vendor, vendor

MARKER = "symptom-kb:0123456789abcdef"


def configured(*addresses: str) -> Configured:
    config = ConnectorConfig(base_url=addresses[0])
    return Configured("zendesk", CONNECTORS["zendesk"], config, frozenset(map(origin_of, addresses)))


def call(url: str, **changes: Any) -> Outbound:
    comment = {"ticket": {"comment": {"html_body": f"<p>{MARKER}</p>", "public": False}}}
    base = Outbound(
        "PUT",
        f"{url}/api/v2/tickets/1.json",
        comment,
        {"Authorization": "Basic eDp5"},
        f"{url}/api/v2/tickets/1/comments.json?sort_order=desc",
        MARKER,
    )
    return dataclasses.replace(base, **changes)


def run(work: Callable[[Sender], Any]) -> Any:
    async def whole() -> Any:
        sender = Sender(version="9.9")
        try:
            return await work(sender)
        finally:
            await sender.close()

    return asyncio.run(whole())


def send(state: Vendor, **changes: Any) -> Any:
    return run(lambda sender: sender.send(call(state.url, **changes), configured(state.url)))


def test_a_note_is_written_and_found() -> None:
    with vendor() as state:
        target = configured(state.url)
        assert run(lambda sender: sender.is_there(call(state.url), target)) is False
        assert send(state) == Delivered()
        assert run(lambda sender: sender.is_there(call(state.url), target)) is True
        written = state.writes()[0]
        assert written.headers["content-type"] == "application/json"
        assert written.headers["user-agent"] == "symptom-kb/9.9"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, TryLater("the vendor answered 429", 7.0, limited=True)),
        (503, TryLater("the vendor answered 503", 7.0, uncertain=True, limited=True)),
        (500, TryLater("the vendor answered 500", 7.0, uncertain=True)),
        (409, TryLater("the vendor answered 409", 7.0, uncertain=True)),
        (408, TryLater("the vendor answered 408", 7.0, uncertain=True)),
    ],
)
def test_what_passes_is_tried_again(status: int, expected: TryLater) -> None:
    with vendor() as state:
        state.script = [Answer(status, {"Retry-After": "7"})]
        assert send(state) == expected


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 410, 413, 418, 422])
def test_what_does_not_pass_is_refused_at_once(status: int) -> None:
    with vendor() as state:
        state.script = [Answer(status, {"Location": "https://elsewhere.example/x"}, b'{"error": "secretword"}')]
        outcome = send(state)
        assert isinstance(outcome, Refused)
        assert str(status) in outcome.reason
        assert "secretword" not in outcome.reason
        assert len(state.calls) == 1, "a redirect is not followed"


def test_a_lost_answer_is_uncertain() -> None:
    with vendor() as state:
        state.script = [Answer(drops=True, does_it=True)]
        outcome = send(state)
        assert isinstance(outcome, TryLater)
        assert outcome.uncertain
        assert run(lambda sender: sender.is_there(call(state.url), configured(state.url))) is True


def test_a_slow_vendor_is_left() -> None:
    with vendor() as state:
        state.script = [Answer(200, delay_s=1.0)]

        async def send_impatiently() -> Any:
            sender = Sender(call_s=0.3)
            try:
                return await sender.send(call(state.url), configured(state.url))
            finally:
                await sender.close()

        outcome = asyncio.run(send_impatiently())
        assert isinstance(outcome, TryLater)
        assert outcome.uncertain


def test_no_connection_is_certain() -> None:
    outcome = run(lambda sender: sender.send(call("http://127.0.0.1:9"), configured("http://127.0.0.1:9")))
    assert isinstance(outcome, TryLater)
    assert not outcome.uncertain


def test_a_look_that_is_refused_does_not_pass_for_absence() -> None:
    with vendor() as state:
        target = configured(state.url)
        state.script = [Answer(403), Answer(429, {"Retry-After": "3"}), Answer(404), Answer(drops=True)]

        def look() -> Any:
            return run(lambda sender: sender.is_there(call(state.url), target))

        refused, limited, absent, broken = look(), look(), look(), look()
        assert isinstance(refused, Refused)
        assert refused.uncertain
        assert limited == TryLater("the vendor answered 429", 3.0, uncertain=True, limited=True)
        assert absent is False
        assert isinstance(broken, TryLater)
        assert broken.uncertain


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"ok": true}', Delivered()),
        (b'{"ok": false, "error": "channel_not_found"}', Refused("the vendor answered channel_not_found")),
        (
            b'{"ok": false, "error": "ratelimited"}',
            TryLater("the vendor answered ratelimited", 4.0, limited=True),
        ),
        (b'{"ok": false, "error": "internal_error"}', TryLater("the vendor answered internal_error", 4.0)),
        (b'{"ok": false, "error": "Not found: secret word"}', Refused("the vendor answered an unnamed error")),
        (b'"fine"', TryLater("the vendor's answer is not the JSON that it documents", uncertain=True)),
    ],
)
def test_a_status_of_200_is_not_believed_where_a_field_tells(body: bytes, expected: Any) -> None:
    with vendor() as state:
        state.script = [Answer(200, {"Retry-After": "4"}, body)]
        assert send(state, success_field="ok") == expected


def test_a_look_believes_the_field_too() -> None:
    with vendor() as state:
        state.script = [Answer(200, body=b'{"ok": false, "error": "missing_scope"}')]
        target = configured(state.url)
        found = run(lambda sender: sender.is_there(call(state.url, success_field="ok"), target))
        assert isinstance(found, Refused)
        assert found.uncertain


def test_a_signed_call_carries_its_id() -> None:
    with vendor() as state:
        signed = Outbound(
            "POST", f"{state.url}/callback", {"a": 1}, signing_secret=CALLBACK_SECRET, message_id="symptom-kb-1"
        )
        assert run(lambda sender: sender.send(signed, configured(state.url))) == Delivered()
        headers = state.calls[0].headers
        assert headers["webhook-id"] == "symptom-kb-1"
        assert headers["webhook-signature"].startswith("v1,")


def test_no_cookie_is_kept() -> None:
    with vendor() as state:
        state.script = [Answer(200, {"Set-Cookie": "session=1; Path=/"}), Answer(200)]

        async def twice(sender: Sender) -> None:
            await sender.send(call(state.url), configured(state.url))
            await sender.send(call(state.url), configured(state.url))

        run(twice)
        assert "cookie" not in state.calls[1].headers


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://example.zendesk.com.evil.example/x",
        "https://example.zendesk.com@evil.example/x",
        "https://example.zendesk.com:8443/x",
        "http://example.zendesk.com/x",
        "http://127.0.0.1/x",
        "http://localhost:8000/metrics",
        "file:///etc/passwd",
        "https://user:pw@example.zendesk.com/x",
        "https://[::1/x",
        "//example.zendesk.com/x",
        "",
    ],
)
def test_nothing_is_called_but_what_is_configured(url: str) -> None:
    assert isinstance(check_target(url, configured("https://example.zendesk.com")), Refused)


def test_what_is_configured_is_called() -> None:
    assert check_target("https://EXAMPLE.zendesk.com/api", configured("https://example.zendesk.com")) is None
    assert check_target("http://127.0.0.1:81/x", configured("http://127.0.0.1:81")) is None
    slack = configured("https://slack.com", "https://hooks.slack.com")
    assert check_target("https://hooks.slack.com/commands/1/2/3", slack) is None


def test_nothing_of_a_call_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with vendor() as state, caplog.at_level(logging.DEBUG, "kb"):
        state.script = [Answer(500), Answer(drops=True), Answer(404)]
        for _ in range(3):
            send(state)
        told = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("kb"))
        assert "eDp5" not in told
        assert MARKER not in told


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("999999999", delivery.MAX_RETRY_AFTER_S),
        (format_datetime(datetime.fromtimestamp(1_000_060, UTC), usegmt=True), 60.0),
        (format_datetime(datetime.fromtimestamp(999_000, UTC), usegmt=True), 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, expected: float | None) -> None:
    assert retry_after_s(value, 1_000_000.0) == expected


def test_backoff_grows_is_jittered_and_obeys_the_vendor() -> None:
    most = [backoff_s(attempt, TryLater("x"), lambda low, high: high) for attempt in (1, 2, 3, 10, 11, 400)]
    assert most == [1.0, 2.0, 4.0, 512.0, BACKOFF_MOST_S, BACKOFF_MOST_S]
    assert backoff_s(5, TryLater("x"), lambda low, high: low) == 0.0
    assert backoff_s(5, TryLater("x", uncertain=True), lambda low, high: low) == SETTLE_S
    assert backoff_s(1, TryLater("x", after_s=60.0), lambda low, high: low) == 60.0
    assert all(60.0 <= backoff_s(9, TryLater("x", after_s=60.0)) <= 67.0 for _ in range(50))


def test_success_needs_no_further_look() -> None:
    assert judge_status(201, "", 0) == judge_status(204, "5", 0) == Delivered()


def test_call_keys_are_the_same_at_every_attempt_and_differ_within_one() -> None:
    calls = [call("https://a.example"), call("https://a.example"), call("https://b.example")]
    assert call_keys(calls) == call_keys(list(calls))
    assert len(set(call_keys(calls))) == 3
    assert "a.example" not in "".join(call_keys(calls))
