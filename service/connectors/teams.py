"""Microsoft Teams outgoing webhook: a mention of its name in a channel; the HTTP answer is the reply, a card.

https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from indexer.metadata import Audience
from service.connectors import reading, signatures
from service.connectors.cards import to_message
from service.connectors.contract import (
    Connector,
    ConnectorConfig,
    Event,
    EventKind,
    Inbound,
    Note,
    Outbound,
    SecretForm,
)
from service.connectors.plain_text import html_to_text
from service.connectors.reading import text_at

_MENTION = re.compile(r"<at\b[^<>]*>[^<]*</at>", re.IGNORECASE)


class Teams(Connector):
    """Questions asked in a Teams channel."""

    name = "teams"
    answer_within_s = 5.0
    answers_in_response = True
    options: Mapping[str, str] = {
        "internal_tenant": "id of the tenant whose channels, guests included, may see internal articles",
    }
    required = ("secrets",)
    secret_form = SecretForm.BASE64

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_teams(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        if text_at(body, "type") != "message":
            raise reading.unknown_event("only messages are taken")
        activity = reading.required_id(body, "id")
        conversation = reading.required_id(body, "conversation", "id", pattern=r"[\x21-\x7e]{1,400}")
        delivery = reading.delivery_id(f"{conversation}#{activity}", conversation.encode(), activity.encode())
        text = html_to_text(_MENTION.sub("", text_at(body, "text")))
        if not text:
            usage = {"type": "message", "text": "Say what is wrong, such as: API returns 401 since today"}
            return Event(EventKind.IGNORED, delivery, fields={"ignored": "an empty question"}, immediate=usage)
        tenant = text_at(body, "channelData", "tenant", "id")
        vouched = config.options.get("internal_tenant", "").strip()
        return Event(
            EventKind.QUESTION,
            delivery,
            subject_id=conversation,
            text=text,
            fields={"action": "mentioned"},
            audience=Audience.INTERNAL if vouched and tenant == vouched else Audience.PUBLIC,
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        return []

    def render_immediate(self, note: Note, event: Event, config: ConnectorConfig) -> Mapping[str, Any]:
        return to_message("", note.markdown, note.links)
