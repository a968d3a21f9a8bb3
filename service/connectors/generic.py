"""Any tool that can send JSON: Zapier, Workato, a script. Standard Webhooks 1.0 both ways, or a bearer token.

The body is our own, documented in docs/connectors.md: `type`, and `data` with `id`, `title`, `text` or `html`, ...
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.connectors import reading, signatures
from service.connectors.calling import post_to_operator
from service.connectors.contract import (
    Connector,
    ConnectorConfig,
    Event,
    EventKind,
    Inbound,
    Note,
    Outbound,
    SecretForm,
    is_public_reply,
)
from service.connectors.marking import is_own_note, note_marker, note_message_id
from service.connectors.markup import to_html, to_plain
from service.connectors.plain_text import html_to_text
from service.connectors.reading import text_at

_KINDS = {
    "ticket.created": EventKind.TICKET,
    "ticket.updated": EventKind.TICKET,
    "alert.firing": EventKind.ALERT,
    "question.asked": EventKind.QUESTION,
    "ping": EventKind.HANDSHAKE,
}
_ENDED = {"ticket.closed": "closed", "alert.resolved": "resolved"}
"""What writes nothing: the status that the ticket or alert has from then on."""
_COPIED_FIELDS = ("product", "component", "category", "priority", "severity", "status", "channel", "runbook_url")


class Generic(Connector):
    """Our own payload, for tools without a connector of their own."""

    name = "generic"
    answer_within_s = 15.0
    options: Mapping[str, str] = {"callback_url": "address that the note is posted to"}
    required = ("secrets", "callback_url")
    secret_form = SecretForm.SIGNING_OR_TOKEN

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_webhook_or_bearer(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        type_ = text_at(body, "type")
        kind = EventKind.IGNORED if type_ in _ENDED else _KINDS.get(type_)
        if kind is None:
            raise reading.unknown_event(f"`type` must be one of {', '.join(sorted([*_KINDS, *_ENDED]))}")
        nested = reading.object_at(body, "data")
        given = inbound.headers.get("webhook-id", "") or (text_at(body, "id") if nested else "")
        delivery = reading.delivery_id(given, inbound.body)
        if kind is EventKind.HANDSHAKE:
            return Event(kind, delivery, immediate={"ok": True})
        data = nested or body
        subject_id = reading.required_id(data, "id")
        if kind is EventKind.IGNORED:
            return reading.ignored(delivery, "the end of a ticket or alert", subject_id, status=_ENDED[type_])
        text = text_at(data, "text") or html_to_text(text_at(data, "html"))
        title = text_at(data, "title")
        if is_own_note(text):
            return reading.ignored(delivery, "one of our own notes", subject_id)
        if not (text or title):
            raise reading.malformed("`data.title`, `data.text` or `data.html` must say what to search for")
        private = reading.flag_at(data, "private") is True
        return Event(
            kind,
            delivery,
            subject_id=subject_id,
            title=title,
            text=text,
            fields=reading.present(
                action=type_.partition(".")[2],
                tags=reading.texts_at(data, "tags"),
                labels=reading.labels_at(data, "labels"),
                private=private,
                account=reading.opaque(text_at(data, "account")),
                **{name: text_at(data, name) for name in _COPIED_FIELDS},
            ),
            url=reading.web_address(text_at(data, "url")),
            audience=reading.reply_audience(config, not private),
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        payload = note_payload(note, event, is_public=note.public and is_public_reply(event, config))
        return [post_to_operator(config.options.get("callback_url", ""), payload, note_message_id(event), config)]


def note_payload(note: Note, event: Event, is_public: bool) -> dict[str, Any]:
    """The note as JSON for a receiver that reads our own format: documented in docs/connectors.md."""
    marker = note_marker(event)
    return {
        "type": "note.created",
        "data": {
            "subject_id": event.subject_id,
            "delivery_id": event.delivery_id,
            "public": is_public,
            "answered": note.answered,
            "summary": note.summary,
            "markdown": f"{note.markdown.rstrip()}\n\n{marker}",
            "html": f"{to_html(note.markdown)}\n<p>{marker}</p>",
            "text": f"{to_plain(note.markdown)}\n\n{marker}",
            "links": [{"title": link.title, "url": link.url, "citation": link.citation} for link in note.links],
            "tags": list(note.tags),
            "ref": marker,
        },
    }
