"""Opsgenie: created alerts in, alert notes out.

Webhooks: https://support.atlassian.com/opsgenie/docs/opsgenie-edge-connector-alert-action-data/
Write-back: https://docs.opsgenie.com/docs/alert-api-continued#add-note-to-alert
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.connectors import reading, signatures
from service.connectors.calling import api_url, authorization
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
from service.connectors.marking import note_marker, plain_note
from service.connectors.reading import text_at

_OTHERS = frozenset(
    {
        "Acknowledge", "UnAcknowledge", "AddNote", "AddTags", "RemoveTags", "AddTeam", "AddRecipient", "AddResponder",
        "AssignOwnership", "TakeOwnership", "Close", "Delete", "Escalate", "EscalateNext", "Snooze", "SnoozeEnded",
        "UpdateMessage", "UpdateDescription", "UpdatePriority", "AddDetails", "RemoveDetails", "CustomAction",
    }
)  # fmt: skip
_STATUSES = {"Close": "closed", "Delete": "closed"}
_MAX_NOTE_CHARS = 24_000


class Opsgenie(Connector):
    """Alerts of Opsgenie."""

    name = "opsgenie"
    answer_within_s = 10.0
    options: Mapping[str, str] = {}
    required = ("secrets", "token")
    secret_form = SecretForm.SIGNING_OR_TOKEN

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_webhook_or_bearer(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        action = text_at(body, "action")
        if action != "Create" and action not in _OTHERS:
            raise reading.unknown_event("only alert actions are taken; map no custom action names to this webhook")
        alert = reading.object_at(body, "alert")
        alert_id = reading.required_id(alert, "alertId", pattern=r"[\w-]{1,100}")
        given = inbound.headers.get("webhook-id", "")
        delivery = reading.delivery_id(given or f"{alert_id}-{action}-{text_at(alert, 'updatedAt')}", inbound.body)
        if action != "Create":
            return reading.ignored(delivery, "not a new alert", alert_id, status=_STATUSES.get(action, ""))
        details = reading.labels_at(alert, "details")
        return Event(
            EventKind.ALERT,
            delivery,
            subject_id=alert_id,
            title=text_at(alert, "message"),
            text=text_at(alert, "description"),
            fields=reading.present(
                action="triggered",
                priority=text_at(alert, "priority"),
                component=text_at(alert, "entity"),
                tags=reading.texts_at(alert, "tags"),
                labels=details,
                runbook_url=reading.web_address(details.get("runbook_url", "")),
            ),
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        url = api_url(config, f"/v2/alerts/{event.subject_id}/notes", "https://api.opsgenie.com")
        return [
            Outbound(
                "POST",
                f"{url}?identifierType=id",
                {"note": plain_note(note, event, _MAX_NOTE_CHARS), "source": "symptom-kb"},
                authorization(config, "GenieKey"),
                lookup_url=f"{url}?identifierType=id&order=desc&limit=100",
                idempotency_marker=note_marker(event),
            )
        ]
