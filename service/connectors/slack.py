"""Slack: a slash command, a mention of the app, and a message shortcut; answers in the same place.

https://docs.slack.dev/interactivity/implementing-slash-commands
https://docs.slack.dev/reference/events/app_mention
https://docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from indexer.metadata import Audience
from service.connectors import reading, signatures
from service.connectors.calling import api_url, authorization, clip
from service.connectors.contract import (
    SWITCH,
    Connector,
    ConnectorConfig,
    Event,
    EventKind,
    Inbound,
    Note,
    Outbound,
    Rejected,
)
from service.connectors.marking import note_marker
from service.connectors.markup import escape_slack, to_slack
from service.connectors.plain_text import slack_to_text
from service.connectors.reading import text_at

FORM_TYPE = "application/x-www-form-urlencoded"
_API = "https://slack.com/api"
_RESPONSE_HOST = "hooks.slack.com"
_MAX_SECTION_CHARS = 2_900
_MAX_SECTIONS = 40
_MAX_FORM_FIELDS = 60
_EMPTY = "an empty question"
_ID = r"[A-Z0-9]{1,40}"
_TIMESTAMP = r"\d{1,12}\.\d{1,9}"


class Slack(Connector):
    """Questions asked in Slack."""

    name = "slack"
    answer_within_s = 3.0
    options: Mapping[str, str] = {
        "author_id": "user id of the app's bot; what it writes is ignored",
        "in_channel": "yes: answers to slash commands are shown to the whole channel, from public articles only",
        "internal_team": "id of the workspace whose members, guests included, may see internal articles",
    }
    choices: Mapping[str, frozenset[str]] = {"in_channel": SWITCH}
    required = ("secrets", "token")

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        form = reading.require_content_type(inbound, reading.JSON_TYPE, FORM_TYPE) == FORM_TYPE
        if form and _is_certificate_check(inbound.body):
            return  # Slack does not sign these, and nothing comes of them
        signatures.verify_slack(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        if reading.require_content_type(inbound, reading.JSON_TYPE, FORM_TYPE) == reading.JSON_TYPE:
            return _parse_event(reading.read_object(inbound.body), config)
        if _is_certificate_check(inbound.body):
            return Event(EventKind.HANDSHAKE, "ssl-check", immediate={})
        form = _read_form(inbound.body)
        if "payload" in form:
            return _parse_shortcut(reading.read_object(form["payload"]), config)
        return _parse_command(form, config)

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        message: dict[str, Any] = {
            "text": escape_slack(note.summary),
            "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "text": part, "verbatim": True}}
                for part in _sections(to_slack(note.markdown))
            ],
        }
        if response_url := event.reply.get("response_url"):
            shown = "in_channel" if event.reply["in_channel"] else "ephemeral"
            return [Outbound("POST", response_url, {"response_type": shown, "replace_original": False, **message})]
        marker = note_marker(event)
        channel, thread = event.reply["channel"], event.reply["thread"]
        since = event.reply.get("since", thread)  # an earlier version stored none
        return [
            Outbound(
                "POST",
                api_url(config, "/chat.postMessage", _API),
                {
                    "channel": channel,
                    "thread_ts": thread,
                    **message,
                    "unfurl_links": False,
                    "unfurl_media": False,
                    "metadata": {"event_type": "symptom_kb_note", "event_payload": {"ref": marker}},
                },
                authorization(config, "Bearer"),
                lookup_url=api_url(
                    config,
                    f"/conversations.replies?channel={quote(channel)}&ts={quote(thread)}&oldest={quote(since)}"
                    "&include_all_metadata=true&limit=100",
                    _API,
                ),
                idempotency_marker=marker,
                success_field="ok",
            )
        ]


def _parse_event(body: Mapping[str, Any], config: ConnectorConfig) -> Event:
    kind = text_at(body, "type")
    if kind == "url_verification":
        challenge = text_at(body, "challenge")
        if not challenge:
            raise reading.malformed("`challenge` is missing")
        name = f"challenge-{reading.digest(challenge.encode())[:32]}"
        return Event(EventKind.HANDSHAKE, name, immediate={"challenge": challenge})
    if kind != "event_callback" or text_at(body, "event", "type") != "app_mention":
        raise reading.unknown_event("only app_mention is taken; subscribe the app to no other events")
    delivery = reading.required_id(body, "event_id")
    said = reading.object_at(body, "event")
    own = config.options.get("author_id", "")
    if text_at(said, "bot_id") or (own and own == text_at(said, "user")):
        return reading.ignored(delivery, "written by a bot")
    text = slack_to_text(text_at(said, "text"))
    if not text:
        return reading.ignored(delivery, _EMPTY)
    channel = reading.required_id(said, "channel", pattern=_ID)
    stamp = reading.required_id(said, "ts", pattern=_TIMESTAMP)
    thread = reading.required_id(said, "thread_ts", pattern=_TIMESTAMP) if "thread_ts" in said else stamp
    is_shared = reading.flag_at(body, "is_ext_shared_channel") is not False
    teams = {text_at(body, "team_id"), text_at(said, "user_team"), text_at(said, "team")} - {""}
    return Event(
        EventKind.QUESTION,
        delivery,
        subject_id=f"{channel}:{thread}",
        text=text,
        fields={"action": "mentioned"},
        reply={"channel": channel, "thread": thread, "since": stamp},
        audience=_audience(teams, config, seen_by_others=is_shared),
        immediate={},
    )


def _parse_command(form: Mapping[str, str], config: ConnectorConfig) -> Event:
    if not form.get("command", "").startswith("/"):
        raise reading.unknown_event("neither a slash command nor a shortcut")
    delivery = reading.delivery_id(form.get("trigger_id", ""), repr(sorted(form.items())).encode())
    text = slack_to_text(form.get("text", ""))
    if not text:
        command = slack_to_text(form["command"])[:40]
        usage = {
            "response_type": "ephemeral",
            "text": f"Say what is wrong: `{command} API returns 401 since today`",
        }
        return Event(EventKind.IGNORED, delivery, fields={"ignored": _EMPTY}, immediate=usage)
    in_channel = reading.is_on(config, "in_channel")
    return Event(
        EventKind.QUESTION,
        delivery,
        subject_id=reading.required_id(form, "channel_id", pattern=_ID),
        text=text,
        fields={"action": "asked"},
        reply={"response_url": _response_url(form, config), "in_channel": in_channel},
        audience=_audience({form.get("team_id", "")}, config, seen_by_others=in_channel),
        immediate={"response_type": "ephemeral", "text": "Looking for articles…"},
    )


def _parse_shortcut(payload: Mapping[str, Any], config: ConnectorConfig) -> Event:
    if text_at(payload, "type") != "message_action":
        raise reading.unknown_event("of interactions only the message shortcut is taken")
    delivery = reading.required_id(payload, "trigger_id")
    text = _message_text(reading.object_at(payload, "message"))
    if not text:
        return reading.ignored(delivery, _EMPTY)
    teams = {text_at(payload, "team", "id"), text_at(payload, "user", "team_id")} - {""}
    return Event(
        EventKind.QUESTION,
        delivery,
        subject_id=reading.required_id(payload, "channel", "id", pattern=_ID),
        text=text,
        fields={"action": "shortcut"},
        reply={"response_url": _response_url(payload, config), "in_channel": False},
        audience=_audience(teams, config, seen_by_others=False),
        immediate={},
    )


def _message_text(message: Mapping[str, Any]) -> str:
    """What a message says; alerting tools say it in blocks and attachments only."""
    if text := slack_to_text(text_at(message, "text")):
        return text
    parts: list[str] = []
    attachments = reading.objects_at(message, "attachments")
    for holder in (message, *attachments):
        said = [text_at(holder, name) for name in ("title", "pretext", "text")]
        parts += said if any(said) else [text_at(holder, "fallback")]
        for block in reading.objects_at(holder, "blocks"):
            parts += [text_at(block, "text", "text"), *(text_at(field, "text") for field in _fields(block))]
        parts += [f"{text_at(field, 'title')}: {text_at(field, 'value')}" for field in _fields(holder)]
    return slack_to_text("\n".join(dict.fromkeys(part for part in parts if part)))


def _fields(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return reading.objects_at(holder, "fields")


def _audience(teams: set[str], config: ConnectorConfig, seen_by_others: bool) -> Audience:
    """Internal only where the operator vouches for the workspace, and nobody of another one reads the answer."""
    vouched = config.options.get("internal_team", "").strip()
    return Audience.INTERNAL if vouched and teams == {vouched} and not seen_by_others else Audience.PUBLIC


def _response_url(data: Mapping[str, Any], config: ConnectorConfig) -> str:
    """The address to answer at: Slack's own host, or that of the configured API."""
    url = reading.web_address(text_at(data, "response_url"))
    try:
        given, base = urlsplit(url), urlsplit(config.base_url)
    except ValueError as error:
        raise reading.malformed("`response_url` is not an address") from error
    own = bool(config.base_url) and (given.scheme, given.netloc) == (base.scheme, base.netloc)
    if not own and (given.scheme, given.netloc) != ("https", _RESPONSE_HOST):
        raise reading.malformed(f"`response_url` is not an address at {_RESPONSE_HOST}")
    return url


def _is_certificate_check(body: bytes) -> bool:
    """Whether Slack only looks at the certificate: a form with `ssl_check`, to be answered with 200 whatever it says.

    https://docs.slack.dev/interactivity/implementing-slash-commands
    """
    try:
        return _read_form(body).get("ssl_check") == "1"
    except Rejected:
        return False


def _read_form(body: bytes) -> Mapping[str, str]:
    try:
        fields = parse_qs(body.decode(), max_num_fields=_MAX_FORM_FIELDS, strict_parsing=True, keep_blank_values=True)
    except ValueError as error:
        raise reading.malformed("the body is not a form in UTF-8") from error
    if not fields:
        raise reading.malformed("the form is empty")
    return {name: values[0] for name, values in fields.items()}


def _sections(text: str) -> list[str]:
    """`text` in parts that a section block takes, cut between lines."""
    parts: list[str] = []
    current = ""
    for line in (clip(line, _MAX_SECTION_CHARS) for line in text.split("\n")):
        if current and len(current) + 1 + len(line) > _MAX_SECTION_CHARS:
            parts.append(current)
            current = line
        else:
            current = f"{current}\n{line}" if current else line
    return [part for part in [*parts, current] if part.strip()][:_MAX_SECTIONS]
