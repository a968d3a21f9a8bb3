"""PagerDuty: triggered incidents in, incident notes out.

Webhooks v3: https://developer.pagerduty.com/docs/webhooks-overview
Write-back: https://developer.pagerduty.com/api-reference/a1727fda30064-create-a-note-on-an-incident
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.connectors import reading, signatures
from service.connectors.calling import api_url, authorization
from service.connectors.contract import Connector, ConnectorConfig, Event, EventKind, Inbound, Note, Outbound
from service.connectors.marking import note_marker, plain_note
from service.connectors.reading import text_at

_FIRING = frozenset({"incident.triggered", "incident.reopened"})
_MAX_NOTE_CHARS = 20_000


class PagerDuty(Connector):
    """Incidents of PagerDuty."""

    name = "pagerduty"
    answer_within_s = 5.0
    options: Mapping[str, str] = {"from_email": "e-mail address of a PagerDuty user, in whose name notes are written"}
    required = ("secrets", "token", "from_email")

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_pagerduty(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        event = reading.object_at(reading.read_object(inbound.body), "event")
        kind = text_at(event, "event_type")
        delivery = reading.required_id(event, "id")
        if kind == "pagey.ping":
            return Event(EventKind.HANDSHAKE, delivery, immediate={"ok": True})
        if not kind.startswith("incident."):
            raise reading.unknown_event("only incident events are taken; subscribe the webhook to no others")
        incident = reading.object_at(event, "data")
        if kind not in _FIRING:
            status = text_at(incident, "status")
            subject_id = text_at(incident, "id") if status else ""  # of a note or a responder it is not the incident's
            return reading.ignored(delivery, "not a firing incident", subject_id, status=status)
        incident_id = reading.required_id(incident, "id", pattern=r"[A-Z0-9]{1,40}")
        service = text_at(incident, "service", "summary")
        return Event(
            EventKind.ALERT,
            delivery,
            subject_id=incident_id,
            title=text_at(incident, "title"),
            text=service,
            fields=reading.present(
                action=kind.partition(".")[2],
                component=service,
                priority=text_at(incident, "priority", "summary"),
                severity=text_at(incident, "urgency"),
                status=text_at(incident, "status"),
            ),
            url=reading.web_address(text_at(incident, "html_url")),
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        url = api_url(config, f"/incidents/{event.subject_id}/notes", "https://api.pagerduty.com")
        return [
            Outbound(
                "POST",
                url,
                {"note": {"content": plain_note(note, event, _MAX_NOTE_CHARS)}},
                {
                    **authorization(config, "Token token="),
                    "Accept": "application/json",
                    "From": config.options.get("from_email", ""),
                },
                lookup_url=url,
                idempotency_marker=note_marker(event),
            )
        ]
