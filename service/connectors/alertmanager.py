"""Prometheus Alertmanager: a group of firing alerts in, a message to an incoming webhook of a chat out.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.connectors import reading, signatures
from service.connectors.calling import api_url, clip, post_to_operator
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
from service.connectors.generic import note_payload
from service.connectors.marking import note_message_id
from service.connectors.markup import to_slack
from service.connectors.reading import text_at
from service.notes import escape

_MAX_ALERTS = 50
"""Only this many are described; all of a group are looked at, for the one that fires may be the last."""
_MAX_MESSAGE_CHARS = 20_000
_TEXTS = ("summary", "description", "message")


class Alertmanager(Connector):
    """Alert groups of Prometheus Alertmanager."""

    name = "alertmanager"
    answer_within_s = 10.0
    options: Mapping[str, str] = {
        "format": "slack (default; also Mattermost and Rocket.Chat), teams (a Workflows webhook) or json (our own)",
    }
    choices: Mapping[str, frozenset[str]] = {"format": frozenset({"slack", "teams", "json"})}
    required = ("secrets", "base_url")
    secret_form = SecretForm.SIGNING_OR_TOKEN

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_webhook_or_bearer(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        if text_at(body, "version") != "4":
            raise reading.unknown_event("only version 4 of Alertmanager's webhook is taken")
        group = text_at(body, "groupKey")
        if not group:
            raise reading.malformed("`groupKey` is missing")
        alerts = [alert for alert in reading.list_at(body, "alerts") if isinstance(alert, dict)]
        firing = [alert for alert in alerts if text_at(alert, "status") == "firing"]
        # A group is sent again and again while it fires: the same alerts with the same starts are the same delivery.
        state = sorted(f"{text_at(alert, 'fingerprint')} {text_at(alert, 'startsAt')}" for alert in firing)
        delivery = f"sha256-{reading.digest(group.encode(), *(line.encode() for line in state))}"
        subject_id = reading.digest(group.encode())[:32]
        if not firing:
            return reading.ignored(delivery, "nothing in the group is firing", subject_id, status="resolved")
        labels = reading.labels_at(body, "commonLabels") or reading.labels_at(firing[0], "labels")
        notes = reading.labels_at(body, "commonAnnotations") or reading.labels_at(firing[0], "annotations")
        return Event(
            EventKind.ALERT,
            delivery,
            subject_id=subject_id,
            title=labels.get("alertname", "") or notes.get("summary", ""),
            text=_describe(firing[:_MAX_ALERTS]),
            fields=reading.present(
                action="firing",
                severity=labels.get("severity", ""),
                component=labels.get("service", "") or labels.get("job", ""),
                labels=labels,
                runbook_url=reading.web_address(notes.get("runbook_url", "")),
            ),
            url=reading.web_address(text_at(firing[0], "generatorURL")),
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        message = _message(note, event, config.options.get("format", "").strip().lower())
        return [post_to_operator(api_url(config, ""), message, note_message_id(event), config)]


def _describe(alerts: Sequence[Mapping[str, Any]]) -> str:
    """What the alerts say, each sentence once: a group of fifty often says one thing."""
    said: dict[str, None] = {}
    for alert in alerts:
        annotations = reading.object_at(alert, "annotations")
        said.update(dict.fromkeys(text for name in _TEXTS if (text := text_at(annotations, name))))
    return clip("\n".join(said), reading.MAX_TEXT_CHARS)


def _message(note: Note, event: Event, format_: str) -> dict[str, Any]:
    if format_ == "json":
        return note_payload(note, event, is_public=False)
    if format_ == "teams":
        return to_message(event.title, note.markdown, note.links)
    return {"text": clip(to_slack(f"**{escape(event.title)}**\n\n{note.markdown}"), _MAX_MESSAGE_CHARS)}
