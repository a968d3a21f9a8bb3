"""Zendesk Support: tickets and comments in, internal comments out.

Webhooks: https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events
Write-back: https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/#update-ticket
Tags: https://developer.zendesk.com/api-reference/ticketing/ticket-management/tags/#add-tags
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

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
    is_public_reply,
)
from service.connectors.marking import note_marker, why_own
from service.connectors.markup import to_html
from service.connectors.reading import text_at

_EVENT_PREFIX = "zen:event-type:ticket."
_CREATED = frozenset({f"{_EVENT_PREFIX}created", "ticket.created"})
_COMMENTED = frozenset({f"{_EVENT_PREFIX}comment_added", "ticket.comment_added"})
_STATUS_CHANGED = f"{_EVENT_PREFIX}status_changed"
_MAX_COMMENT_CHARS = 60_000


class Zendesk(Connector):
    """Tickets of Zendesk Support, from event webhooks or from a trigger with the documented JSON."""

    name = "zendesk"
    answer_within_s = 10.0
    options: Mapping[str, str] = {
        "author_id": "id of the user whose token writes the notes; what that user writes is ignored",
        "answer_comments": "yes: requesters' later public comments get a note too, not only new tickets",
        "add_tags": "yes: suggested tags are added to the ticket; existing tags stay",
    }
    choices: Mapping[str, frozenset[str]] = {"answer_comments": SWITCH, "add_tags": SWITCH}
    required = ("secrets", "base_url", "token")

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_zendesk(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        kind = text_at(body, "type")
        if kind not in _CREATED | _COMMENTED and not kind.startswith(_EVENT_PREFIX):
            raise reading.unknown_event("only ticket events are taken; subscribe the webhook to no others")
        timestamp = inbound.headers.get("x-zendesk-webhook-signature-timestamp", "").encode(errors="replace")
        given = text_at(body, "id") or inbound.headers.get("x-zendesk-webhook-invocation-id", "")
        delivery = reading.delivery_id(given, timestamp, inbound.body)
        replay_key = "" if text_at(body, "id") else reading.digest(timestamp, inbound.body)
        ticket = reading.object_at(body, "detail") or reading.object_at(body, "ticket")
        ticket_id = reading.required_id(ticket, "id", pattern=r"\d{1,20}")
        comment = reading.object_at(body, "event", "comment") or reading.object_at(body, "comment")
        if why := self._why_ignored(kind, ticket, comment, config):
            return reading.ignored(delivery, why, ticket_id, replay_key, _status(kind, body, ticket))
        is_comment = kind in _COMMENTED
        is_public = reading.flag_at(comment if is_comment else ticket, "is_public")
        return Event(
            EventKind.TICKET,
            delivery,
            subject_id=ticket_id,
            title=text_at(ticket, "subject"),
            text=text_at(comment, "body") if is_comment else text_at(ticket, "description"),
            fields=reading.present(
                action="commented" if is_comment else "created",
                priority=text_at(ticket, "priority").lower(),
                status=_status(kind, body, ticket),
                category=text_at(ticket, "type").lower(),
                channel=text_at(ticket, "via", "channel"),
                account=reading.opaque(text_at(ticket, "requester_id")),
                tags=reading.texts_at(ticket, "tags"),
                private=is_public is False,
            ),
            url=api_url(config, f"/agent/tickets/{ticket_id}") if config.base_url else "",
            audience=reading.reply_audience(config, is_public is True),
            replay_key=replay_key,
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        marker = note_marker(event)
        ticket = f"/api/v2/tickets/{event.subject_id}"
        headers = authorization(config, "Bearer")
        comment = {
            "html_body": f"{to_html(clip(note.markdown, _MAX_COMMENT_CHARS))}\n<p>{marker}</p>",
            "public": note.public and is_public_reply(event, config),
        }
        calls = [
            Outbound(
                "PUT",
                api_url(config, f"{ticket}.json"),
                {"ticket": {"comment": comment}},
                headers,
                lookup_url=api_url(config, f"{ticket}/comments.json?sort_order=desc"),
                idempotency_marker=marker,
            )
        ]
        tags = [tag for raw in note.tags if (tag := _tag(raw))]
        if tags and reading.is_on(config, "add_tags"):
            calls.append(Outbound("PUT", api_url(config, f"{ticket}/tags.json"), {"tags": tags}, headers))
        return calls

    def _why_ignored(
        self, kind: str, ticket: Mapping[str, Any], comment: Mapping[str, Any], config: ConnectorConfig
    ) -> str:
        authors = {text_at(comment, "author", "id"), text_at(ticket, "actor_id")}
        if why := why_own(config, authors, text_at(comment, "body"), text_at(ticket, "description")):
            return why
        if kind in _CREATED:
            return ""
        if kind not in _COMMENTED:
            return "neither a new ticket nor a comment"
        if why := reading.why_no_comments(config):
            return why
        if reading.flag_at(comment, "author", "is_staff"):
            return reading.BY_STAFF
        return ""


def _status(kind: str, body: Mapping[str, Any], ticket: Mapping[str, Any]) -> str:
    changed = text_at(body, "event", "current") if kind == _STATUS_CHANGED else ""
    return (changed or text_at(ticket, "status")).lower()


def _tag(text: str) -> str:
    """Zendesk's tags are lower case and hold no spaces."""
    return re.sub(r"[^\w./:-]+", "_", text.strip().lower()).strip("_")[:80]
