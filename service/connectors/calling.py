"""Calls back to a vendor: credentials, addresses, lengths, and the bytes that go over the wire."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from indexer.errors import SettingsError
from service.connectors.contract import ConnectorConfig, Outbound
from service.connectors.signatures import SIGNING_PREFIX, sign_standard_webhooks


def encode_request(outbound: Outbound, now_s: float) -> tuple[dict[str, str], bytes]:
    """Headers and body of `outbound`, signed with the time of sending where it is to be signed."""
    body = json.dumps(outbound.json, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", **outbound.headers}
    if outbound.signing_secret:
        timestamp_s = int(now_s)
        headers["webhook-id"] = outbound.message_id
        headers["webhook-timestamp"] = str(timestamp_s)
        headers["webhook-signature"] = sign_standard_webhooks(
            outbound.signing_secret, outbound.message_id, timestamp_s, body
        )
    return headers, body


def authorization(config: ConnectorConfig, scheme: str) -> dict[str, str]:
    """The `Authorization` header: `scheme` and the token, Basic for `user:password`, or the whole value as given."""
    token = config.token.strip()
    if not token:
        return {}
    if " " in token:
        return {"Authorization": token}
    if ":" in token:
        return {"Authorization": f"Basic {base64.b64encode(token.encode()).decode()}"}
    return {"Authorization": f"{scheme}{token}" if scheme.endswith("=") else f"{scheme} {token}"}


def post_to_operator(url: str, body: Mapping[str, Any], message_id: str, config: ConnectorConfig) -> Outbound:
    """A call to an address of the operator's own: a `whsec_…` token signs it, any other is sent as a bearer token.

    Either way `webhook-id` is the same at every attempt, so the receiver can tell a repetition.
    """
    if config.token.startswith(SIGNING_PREFIX):
        return Outbound("POST", url, body, signing_secret=config.token, message_id=message_id)
    headers = {**authorization(config, "Bearer"), "webhook-id": message_id}
    return Outbound("POST", url, body, headers, message_id=message_id)


def api_url(config: ConnectorConfig, path: str, default: str = "") -> str:
    """`path` at the vendor's API.

    Raises:
        SettingsError: `base_url` is not a web address.
    """
    base = (config.base_url or default).rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise SettingsError("`base_url` of the connector must be an address such as https://example.com")
    return base + path


def clip(text: str, max_chars: int) -> str:
    """`text` in at most `max_chars` characters, cut at a line where one is near."""
    if len(text) <= max_chars:
        return text
    kept = text[: max_chars - 2]
    line_end = kept.rfind("\n")
    return (kept[:line_end] if line_end > max_chars // 2 else kept) + "\n…"
