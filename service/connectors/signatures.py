"""Who sent a request: the signature schemes of the vendors, exactly as each documents its own.

Every check is made over the raw body, in constant time, against each configured secret, so that secrets can be rotated.
Nothing here raises anything but `Rejected`, whatever the headers hold. Secrets that start with `whsec_` sign; any other
is a bearer token, so a signing secret is never accepted as a token that travels in the open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from service.connectors.contract import Inbound, Rejected, RejectedReason

TOLERANCE_S = 300.0
"""How far a timestamp may be from now, either way. Slack documents 300 s; Standard Webhooks libraries use it."""

SIGNING_PREFIX = "whsec_"
_MAX_SIGNATURES = 20
"""More signatures than this in one header are not looked at."""
_MAX_TIMESTAMP_DIGITS = 12


def sign_standard_webhooks(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`, as in Standard Webhooks 1.0.

    Raises:
        ValueError: the secret is not base64, with or without `whsec_` before it.
    """
    key = base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    content = b".".join([message_id.encode(), str(timestamp_s).encode(), body])
    return "v1," + base64.b64encode(_digest(key, content)).decode()


def is_key(secret: str) -> bool:
    """Whether `secret` is base64 of a key, with or without `whsec_` before it."""
    try:
        return bool(base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True))
    except ValueError:
        return False


def verify_standard_webhooks(inbound: Inbound, secrets: Sequence[str]) -> None:
    """Headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, of Standard Webhooks 1.0.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    message_id = _header(inbound, "webhook-id")
    timestamp = _header(inbound, "webhook-timestamp")
    given = [part for part in _header(inbound, "webhook-signature").split(" ") if part.startswith("v1,")]
    content = b".".join([_encode(message_id), _encode(timestamp), inbound.body])
    expected = [
        b"v1," + base64.b64encode(_digest(key, content)) for key in _decoded_keys(_signing_secrets(secrets), "whsec_…")
    ]
    _require_match(given, expected)
    _require_fresh(_unix_seconds(timestamp), inbound)


def verify_bearer(inbound: Inbound, secrets: Sequence[str]) -> None:
    """`Authorization: Bearer <token>`, the token being one of `secrets` that is not a signing secret."""
    scheme, _, token = _header(inbound, "authorization").partition(" ")
    if scheme.lower() != "bearer":
        raise _bad("the Authorization header is not a bearer token")
    _require_match([token.strip()], [_encode(secret) for secret in _bearer_secrets(secrets)])


def verify_webhook_or_bearer(inbound: Inbound, secrets: Sequence[str]) -> None:
    """Standard Webhooks where the request carries a signature, else a bearer token."""
    if "webhook-signature" in inbound.headers:
        verify_standard_webhooks(inbound, secrets)
    else:
        verify_bearer(inbound, secrets)


def verify_zendesk(inbound: Inbound, secrets: Sequence[str]) -> None:
    """base64(HMAC-SHA256(secret as UTF-8, timestamp + body)), no separator; the timestamp is ISO 8601.

    https://developer.zendesk.com/documentation/webhooks/verifying/
    """
    timestamp = _header(inbound, "x-zendesk-webhook-signature-timestamp")
    content = _encode(timestamp) + inbound.body
    expected = [base64.b64encode(_digest(_encode(secret), content)) for secret in _usable(secrets)]
    _require_match([_header(inbound, "x-zendesk-webhook-signature")], expected)
    _require_fresh(_iso_seconds(timestamp), inbound)


def verify_slack(inbound: Inbound, secrets: Sequence[str]) -> None:
    """`v0=` and hex of HMAC-SHA256 over `v0:timestamp:body`.

    https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    timestamp = _header(inbound, "x-slack-request-timestamp")
    content = b"v0:" + _encode(timestamp) + b":" + inbound.body
    expected = [b"v0=" + _hex_digest(_encode(secret), content) for secret in _usable(secrets)]
    _require_match([_header(inbound, "x-slack-signature")], expected)
    _require_fresh(_unix_seconds(timestamp), inbound)


def verify_teams(inbound: Inbound, secrets: Sequence[str]) -> None:
    """`Authorization: HMAC <base64>` over the body; the key is the base64-decoded security token.

    https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook
    """
    scheme, _, signature = _header(inbound, "authorization").partition(" ")
    if scheme.lower() != "hmac":
        raise _bad("the Authorization header is not of the form HMAC <base64>")
    expected = [
        base64.b64encode(_digest(key, inbound.body)) for key in _decoded_keys(_usable(secrets), "the security token")
    ]
    _require_match([signature.strip()], expected)


def verify_hub_signature(inbound: Inbound, secrets: Sequence[str], header: str) -> None:
    """`sha256=` and hex of HMAC-SHA256 over the body: GitHub's `X-Hub-Signature-256`, Jira's `X-Hub-Signature`.

    https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-webhooks
    """
    expected = [b"sha256=" + _hex_digest(_encode(secret), inbound.body) for secret in _usable(secrets)]
    _require_match([_header(inbound, header)], expected)


def verify_pagerduty(inbound: Inbound, secrets: Sequence[str]) -> None:
    """Comma-separated list of `v1=` and hex of HMAC-SHA256 over the body; one match is enough.

    https://developer.pagerduty.com/docs/verifying-webhook-signatures
    """
    given = [part.strip() for part in _header(inbound, "x-pagerduty-signature").split(",")]
    expected = [b"v1=" + _hex_digest(_encode(secret), inbound.body) for secret in _usable(secrets)]
    _require_match([part for part in given if part.startswith("v1=")], expected)


def verify_gitlab(inbound: Inbound, secrets: Sequence[str]) -> None:
    """Standard Webhooks where a signing token is set, else the plain secret in `X-Gitlab-Token`.

    https://docs.gitlab.com/user/project/integrations/webhooks/
    """
    if "webhook-signature" in inbound.headers:
        verify_standard_webhooks(inbound, secrets)
    else:
        tokens = [_encode(secret) for secret in _bearer_secrets(secrets)]
        _require_match([_header(inbound, "x-gitlab-token")], tokens)


def _digest(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()


def _hex_digest(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).hexdigest().encode()


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _usable(secrets: Sequence[str]) -> list[str]:
    """The secrets that are not empty: everybody can sign with an empty key."""
    usable = [secret for secret in secrets if secret]
    if not usable:
        raise _bad("no secret is configured for this connector")
    return usable


def _signing_secrets(secrets: Sequence[str]) -> list[str]:
    signing = [secret for secret in _usable(secrets) if secret.startswith(SIGNING_PREFIX)]
    if not signing:
        raise _bad("no signing secret (whsec_…) is configured for this connector")
    return signing


def _bearer_secrets(secrets: Sequence[str]) -> list[str]:
    tokens = [secret for secret in _usable(secrets) if not secret.startswith(SIGNING_PREFIX)]
    if not tokens:
        raise _bad("no token is configured for this connector, so requests must be signed")
    return tokens


def _decoded_keys(secrets: Sequence[str], what: str) -> list[bytes]:
    usable = [secret for secret in secrets if is_key(secret)]
    if not usable:
        raise _bad(f"none of the configured secrets can be used: {what} is base64 text")
    return [base64.b64decode(secret.removeprefix(SIGNING_PREFIX)) for secret in usable]


def _header(inbound: Inbound, name: str) -> str:
    value = inbound.headers.get(name, "")
    if not value:
        raise _bad(f"the header {name} is missing")
    return value


def _require_match(given: Sequence[str], expected: Iterable[bytes]) -> None:
    """Compares all with all, so that the time tells nothing about which secret came near."""
    wanted = list(expected)
    matches = [
        hmac.compare_digest(_encode(signature), candidate)
        for signature in given[:_MAX_SIGNATURES]
        for candidate in wanted
    ]
    if not any(matches):
        raise _bad("the signature or token does not match any configured secret")


def _unix_seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_TIMESTAMP_DIGITS):
        raise Rejected(RejectedReason.STALE_TIMESTAMP, "the timestamp is not a whole number of Unix seconds")
    return float(text)


def _iso_seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise Rejected(RejectedReason.STALE_TIMESTAMP, "the timestamp is not an ISO 8601 time") from error


def _require_fresh(timestamp_s: float, inbound: Inbound) -> None:
    age_s = inbound.received_s - timestamp_s
    if not abs(age_s) <= TOLERANCE_S:
        when = "old" if age_s > 0 else "in the future"
        raise Rejected(
            RejectedReason.STALE_TIMESTAMP,
            f"the timestamp is more than {TOLERANCE_S:.0f} s {when}; check the clocks of sender and receiver",
        )


def _bad(detail: str) -> Rejected:
    return Rejected(RejectedReason.BAD_SIGNATURE, detail)
