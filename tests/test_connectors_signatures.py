"""Published vectors, and every way a signature can be wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.connectors import signatures
from service.connectors.contract import Inbound, Rejected, RejectedReason
from tests.connectors.world import NOW_S, SECRET, TEAMS_SECRET, TOKEN, WHSEC, sign_webhook

Verify = Callable[[Inbound, Sequence[str]], None]


def _hub(header: str) -> Verify:
    return lambda inbound, secrets: signatures.verify_hub_signature(inbound, secrets, header)


VERIFIERS: dict[str, tuple[Verify, str]] = {
    "standard": (signatures.verify_standard_webhooks, WHSEC),
    "bearer": (signatures.verify_bearer, TOKEN),
    "either": (signatures.verify_webhook_or_bearer, TOKEN),
    "zendesk": (signatures.verify_zendesk, SECRET),
    "slack": (signatures.verify_slack, SECRET),
    "teams": (signatures.verify_teams, TEAMS_SECRET),
    "github": (_hub("x-hub-signature-256"), SECRET),
    "jira": (_hub("x-hub-signature"), SECRET),
    "pagerduty": (signatures.verify_pagerduty, SECRET),
    "gitlab": (signatures.verify_gitlab, TOKEN),
}


def test_standard_webhooks_published_vector() -> None:
    """Vector of the specification's reference libraries."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signatures.sign_standard_webhooks(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"v1a,other v1,bm90IHRoaXM= {expected}",
    }
    signatures.verify_standard_webhooks(Inbound(headers, body, 1614265330.0), [secret])


def test_jira_published_vector() -> None:
    """https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-webhooks"""
    signature = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"
    inbound = Inbound({"x-hub-signature": signature}, b"Hello World!", NOW_S)
    signatures.verify_hub_signature(inbound, ["It's a Secret to Everybody"], "x-hub-signature")


def test_github_published_vector() -> None:
    """https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation"""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    inbound = Inbound({"x-hub-signature-256": signature}, b"Hello, World!", NOW_S)
    signatures.verify_hub_signature(inbound, ["It's a Secret to Everybody"], "x-hub-signature-256")


def test_slack_published_vector() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    signatures.verify_slack(Inbound(headers, body, 1531420618.0), ["8f742231b10e8888abcd99yyyzzz85a5"])


def test_zendesk_signs_timestamp_before_body() -> None:
    """The scheme of https://developer.zendesk.com/documentation/webhooks/verifying/ with the test secret it prints."""
    secret, stamp, body = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==", "2023-11-14T22:13:20Z", b'{"say": "hello"}'

    def headers(content: bytes) -> dict[str, str]:
        signature = base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest()).decode()
        return {"x-zendesk-webhook-signature": signature, "x-zendesk-webhook-signature-timestamp": stamp}

    signatures.verify_zendesk(Inbound(headers(stamp.encode() + body), body, NOW_S), [secret])
    signatures.verify_zendesk(Inbound(headers(stamp.encode()), b"", NOW_S), [secret])
    _rejects(signatures.verify_zendesk, Inbound(headers(body + stamp.encode()), body, NOW_S), [secret])


def test_any_secret_of_a_rotation_passes_and_a_dropped_one_does_not() -> None:
    other = "whsec_" + base64.b64encode(b"another key altogether!!").decode()
    inbound = Inbound(sign_webhook(b"{}", secret=other), b"{}", NOW_S)
    signatures.verify_standard_webhooks(inbound, [WHSEC, other])
    signatures.verify_standard_webhooks(inbound, [other, "whsec_not base64 at all"])
    _rejects(signatures.verify_standard_webhooks, inbound, [WHSEC])


@pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
@pytest.mark.parametrize("name", VERIFIERS)
def test_without_a_secret_nothing_passes(name: str, secrets: list[str]) -> None:
    verify, _ = VERIFIERS[name]
    empty = hmac.new(b"", b"{}", hashlib.sha256)
    headers = {
        "authorization": "Bearer ",
        "x-gitlab-token": "",
        "x-hub-signature": f"sha256={empty.hexdigest()}",
        "x-hub-signature-256": f"sha256={empty.hexdigest()}",
        "x-pagerduty-signature": f"v1={empty.hexdigest()}",
    }
    _rejects(verify, Inbound(headers, b"{}", NOW_S), secrets)


@pytest.mark.parametrize("secret", [WHSEC, "whsec_", "whsec_" + base64.b64encode(b"").decode()])
def test_a_signing_secret_is_never_a_bearer_token(secret: str) -> None:
    inbound = Inbound({"authorization": f"Bearer {secret}", "x-gitlab-token": secret}, b"{}", NOW_S)
    _rejects(signatures.verify_webhook_or_bearer, inbound, [secret])
    _rejects(signatures.verify_gitlab, inbound, [secret])


def test_a_bearer_token_does_not_sign() -> None:
    token = base64.b64encode(b"twenty-four bytes of key").decode()
    inbound = Inbound(sign_webhook(b"{}", secret=token), b"{}", NOW_S)
    _rejects(signatures.verify_webhook_or_bearer, inbound, [token])


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "1.5e9", "\u0661\u0667", "9" * 400, "1700000000 "])
def test_strange_timestamps_are_rejected_whatever_the_signature(timestamp: str) -> None:
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    content = b".".join([b"m", timestamp.encode(), b"{}"])
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "m", "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
    with pytest.raises(Rejected):
        signatures.verify_standard_webhooks(Inbound(headers, b"{}", NOW_S), [WHSEC])


@pytest.mark.parametrize(("offset_s", "passes"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_timestamps_are_fresh_in_both_directions(offset_s: int, passes: bool) -> None:
    inbound = Inbound(sign_webhook(b"{}", NOW_S + offset_s), b"{}", NOW_S)
    if passes:
        signatures.verify_standard_webhooks(inbound, [WHSEC])
    else:
        _rejects(signatures.verify_standard_webhooks, inbound, [WHSEC], RejectedReason.STALE_TIMESTAMP)


HEADER_NAMES = [
    "authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "x-gitlab-token", "x-hub-signature",
    "x-hub-signature-256", "x-pagerduty-signature", "x-slack-request-timestamp", "x-slack-signature",
    "x-zendesk-webhook-signature", "x-zendesk-webhook-signature-timestamp",
]  # fmt: skip
HEADER_VALUES = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["v1,", "v1=", "sha256=", "HMAC ", "Bearer ", "v0=", "a, b", "1700000000", "\ud800", "é"]),
)


@pytest.mark.parametrize("name", VERIFIERS)
@given(headers=st.dictionaries(st.sampled_from(HEADER_NAMES), HEADER_VALUES), body=st.binary(max_size=60))
def test_arbitrary_headers_raise_nothing_but_rejected(name: str, headers: dict[str, str], body: bytes) -> None:
    verify, secret = VERIFIERS[name]
    with pytest.raises(Rejected):
        verify(Inbound(headers, body, NOW_S), [secret])


def _rejects(
    verify: Verify,
    inbound: Inbound,
    secrets: Sequence[str],
    reason: RejectedReason = RejectedReason.BAD_SIGNATURE,
) -> None:
    with pytest.raises(Rejected) as caught:
        verify(inbound, secrets)
    assert caught.value.reason is reason
