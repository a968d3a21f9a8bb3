"""Signed deliveries for tests. The signatures are made here, apart from the code that checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from service.connectors.contract import ConnectorConfig, Event, Inbound, Note, NoteLink, Outbound

FIXTURES = Path(__file__).parent / "fixtures"
NOW_S = 1_700_000_000.0
NOW_ISO = "2023-11-14T22:13:20Z"

KEY = b"twenty-four bytes of key"
WHSEC = "whsec_" + base64.b64encode(KEY).decode()
TOKEN = "a-bearer-token"
SECRET = "shared-secret"
TEAMS_SECRET = base64.b64encode(KEY).decode()

NOTE = Note(
    markdown="**Suggested articles** (82% sure)\n\n1. **Clock skew**\n   Why: same error code\n"
    "   > Run `chronyc` & wait < 1 min.\n   >\n   > — [auth/skew.md:12-18](<https://kb.example.com/a?x=1&y=2>)\n",
    summary="Clock skew (82% sure)",
    links=(NoteLink("Clock skew", "https://kb.example.com/a?x=1&y=2", "auth/skew.md:12-18"),),
    tags=("clock skew", "api"),
)


@dataclass(frozen=True)
class Vendor:
    """How one vendor's requests are signed in tests, and a configuration that accepts them."""

    sign: Callable[[bytes, float, str], dict[str, str]]
    config: ConnectorConfig
    content_type: str = "application/json"
    has_timestamp: bool = False
    signs_body: bool = True
    unknown_event: tuple[Mapping[str, str], Mapping[str, Any]] | None = None


def mac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()


def sign_zendesk(body: bytes, now_s: float = NOW_S, secret: str = SECRET) -> dict[str, str]:
    from datetime import UTC, datetime

    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "x-zendesk-webhook-signature": base64.b64encode(mac(secret.encode(), stamp.encode() + body)).decode(),
        "x-zendesk-webhook-signature-timestamp": stamp,
    }


def sign_webhook(body: bytes, now_s: float = NOW_S, secret: str = WHSEC) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = str(int(now_s))
    signature = base64.b64encode(mac(key, b"msg_1." + stamp.encode() + b"." + body)).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def sign_slack(body: bytes, now_s: float = NOW_S, secret: str = SECRET) -> dict[str, str]:
    stamp = str(int(now_s))
    signature = mac(secret.encode(), b"v0:" + stamp.encode() + b":" + body).hex()
    return {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={signature}"}


def sign_teams(body: bytes, now_s: float = NOW_S, secret: str = TEAMS_SECRET) -> dict[str, str]:
    return {"authorization": f"HMAC {base64.b64encode(mac(base64.b64decode(secret), body)).decode()}"}


def _hex_signer(header: str, prefix: str) -> Callable[[bytes, float, str], dict[str, str]]:
    return lambda body, now_s, secret: {header: prefix + mac(secret.encode(), body).hex()}


def send_token(body: bytes, now_s: float = NOW_S, secret: str = TOKEN) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def send_gitlab_token(body: bytes, now_s: float = NOW_S, secret: str = TOKEN) -> dict[str, str]:
    return {"x-gitlab-token": secret}


VENDORS: dict[str, Vendor] = {
    "zendesk": Vendor(
        sign_zendesk,
        ConnectorConfig(secrets=(SECRET,), base_url="https://example.zendesk.com", token="bot@example.com/token:key"),
        has_timestamp=True,
        unknown_event=({}, {"type": "zen:event-type:user.created", "id": "e"}),
    ),
    "servicenow": Vendor(
        sign_webhook,
        ConnectorConfig(secrets=(WHSEC,), base_url="https://example.service-now.com", token="kb:password"),
        has_timestamp=True,
        unknown_event=({}, {"type": "record.deleted", "data": {"table": "incident"}}),
    ),
    "jira": Vendor(
        _hex_signer("x-hub-signature", "sha256="),
        ConnectorConfig(secrets=(SECRET,), base_url="https://example.atlassian.net", token="bot@example.com:key"),
        unknown_event=({}, {"webhookEvent": "sprint_started"}),
    ),
    "github": Vendor(
        _hex_signer("x-hub-signature-256", "sha256="),
        ConnectorConfig(secrets=(SECRET,), token="a-token"),
        unknown_event=({"x-github-event": "push"}, {"repository": {"full_name": "octo/kb"}}),
    ),
    "gitlab": Vendor(
        send_gitlab_token,
        ConnectorConfig(secrets=(TOKEN,), token="a-token"),
        signs_body=False,
        unknown_event=({}, {"object_kind": "push", "project": {"id": 1}}),
    ),
    "slack": Vendor(
        sign_slack,
        ConnectorConfig(secrets=(SECRET,), token="xoxb-token"),
        has_timestamp=True,
        unknown_event=({}, {"type": "event_callback", "event_id": "Ev1", "event": {"type": "message"}}),
    ),
    "teams": Vendor(
        sign_teams,
        ConnectorConfig(secrets=(TEAMS_SECRET,)),
        unknown_event=({}, {"type": "conversationUpdate", "id": "1", "conversation": {"id": "19:x"}}),
    ),
    "pagerduty": Vendor(
        _hex_signer("x-pagerduty-signature", "v1="),
        ConnectorConfig(secrets=(SECRET,), token="a-key", options={"from_email": "kb@example.com"}),
        unknown_event=({}, {"event": {"id": "E1", "event_type": "service.created"}}),
    ),
    "opsgenie": Vendor(
        send_token,
        ConnectorConfig(secrets=(TOKEN,), token="a-key"),
        signs_body=False,
        unknown_event=({}, {"action": "Dance", "alert": {"alertId": "a-1"}}),
    ),
    "alertmanager": Vendor(
        send_token,
        ConnectorConfig(secrets=(TOKEN,), base_url="https://chat.example.com/hooks/1"),
        signs_body=False,
        unknown_event=({}, {"version": "3", "groupKey": "g"}),
    ),
    "email": Vendor(
        sign_webhook,
        ConnectorConfig(
            secrets=(WHSEC,),
            base_url="https://mail.example.com/send",
            token=WHSEC,
            options={"from_address": "kb@example.com", "team_address": "team@example.com"},
        ),
        content_type="message/rfc822",
        has_timestamp=True,
    ),
    "generic": Vendor(
        sign_webhook,
        ConnectorConfig(secrets=(WHSEC,), token=WHSEC, options={"callback_url": "https://hooks.example.com/kb"}),
        has_timestamp=True,
        unknown_event=({}, {"type": "ticket.deleted", "data": {"id": "1"}}),
    ),
}


@dataclass(frozen=True)
class Fixture:
    """One delivery of a vendor as its documentation shows it, with the event and the calls it must become."""

    vendor: str
    name: str
    data: Mapping[str, Any]

    @property
    def body(self) -> bytes:
        if "body_text" in self.data:
            return "\n".join(self.data["body_text"]).encode(self.data.get("body_charset", "utf-8"))
        return json.dumps(self.data["body"], ensure_ascii=False).encode()

    @property
    def config(self) -> ConnectorConfig:
        base = VENDORS[self.vendor].config
        given = dict(self.data.get("config", {}))
        return replace(base, options={**base.options, **given.pop("options", {})}, **given)

    def inbound(self, body: bytes | None = None, now_s: float = NOW_S) -> Inbound:
        sent = self.body if body is None else body
        inbound = signed(self.vendor, sent, now_s, self.data.get("headers", {}))
        if self.data.get("sign") != "webhook":
            return inbound
        headers = {name: value for name, value in inbound.headers.items() if name != "x-gitlab-token"}
        return replace(inbound, headers={**headers, **sign_webhook(sent, now_s)})


def signed(vendor: str, body: bytes, now_s: float = NOW_S, headers: Mapping[str, str] | None = None) -> Inbound:
    """`body` as the vendor would send it at NOW_S with a timestamp of `now_s`."""
    world = VENDORS[vendor]
    secret = next(iter(world.config.secrets))
    kinds = {"content-type": world.content_type}
    return Inbound({**kinds, **world.sign(body, now_s, secret), **(headers or {})}, body, NOW_S)


def load_fixtures() -> list[Fixture]:
    return [
        Fixture(path.parent.name, path.stem, json.loads(path.read_text("utf-8")))
        for path in sorted(FIXTURES.glob("*/*.json"))
    ]


def event_json(event: Event) -> dict[str, Any]:
    """An event as fixtures write it: what is empty is left out, and a replay key is only said to be there."""
    given = {name: value for name, value in asdict(event).items() if value not in ("", {}, None)}
    if event.immediate is not None:
        given["immediate"] = event.immediate
    if given.get("replay_key"):
        given["replay_key"] = "<digest>"
    if given.get("delivery_id", "").startswith("sha256-"):
        given["delivery_id"] = "<digest>"
    return dict(json.loads(json.dumps(given)))


def outbound_json(outbound: Outbound) -> dict[str, Any]:
    return {name: value for name, value in asdict(outbound).items() if value not in ("", {})}
