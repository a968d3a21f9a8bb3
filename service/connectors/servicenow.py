"""ServiceNow: records sent by the business rule in assets/servicenow_business_rule.js, work notes out.

ServiceNow signs nothing itself; the business rule signs in Standard Webhooks form.
Write-back: Table API, https://docs.servicenow.com/bundle/xanadu-api-reference/page/integrate/inbound-rest/concept/c_TableAPI.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from service.connectors import reading, signatures
from service.connectors.calling import api_url, authorization
from service.connectors.contract import (
    SWITCH,
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
from service.connectors.marking import note_marker, plain_note, why_own
from service.connectors.plain_text import any_to_text
from service.connectors.reading import text_at

_TYPES = {"record.created": "created", "record.commented": "commented"}
_MAX_NOTE_CHARS = 30_000
_CODE_TAG = re.compile(r"\[(?=/?code\])", re.IGNORECASE)
"""Journal fields show as HTML what stands between `[code]` and `[/code]`, such as a stranger's subject of a mail."""
_FIELDS = {"priority": "priority", "status": "state", "category": "category", "product": "business_service"}


class ServiceNow(Connector):
    """Incidents and other task records of ServiceNow."""

    name = "servicenow"
    answer_within_s = 10.0
    options: Mapping[str, str] = {
        "author_id": "user name of the account that writes the notes; what it writes is ignored",
        "answer_comments": "yes: later comments by requesters get a note too, not only new records",
        "tables": "comma-separated tables that are taken; default: incident",
    }
    choices: Mapping[str, frozenset[str]] = {"answer_comments": SWITCH}
    required = ("secrets", "base_url", "token")
    secret_form = SecretForm.SIGNING

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_standard_webhooks(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        action = _TYPES.get(text_at(body, "type"))
        if action is None:
            raise reading.unknown_event(f"`type` must be one of {', '.join(_TYPES)}: use the business rule as shipped")
        record = reading.object_at(body, "data")
        table = reading.required_id(record, "table", pattern=r"[a-z][a-z0-9_]{0,79}")
        sys_id = reading.required_id(record, "sys_id", pattern=r"[0-9a-f]{32}")
        delivery = reading.delivery_id(inbound.headers.get("webhook-id", ""), inbound.body)
        comment = any_to_text(text_at(record, "comment"))
        if why := self._why_ignored(record, table, comment, action, config):
            return reading.ignored(delivery, why, sys_id, status=text_at(record, "state"))
        description = any_to_text(text_at(record, "description"))
        return Event(
            EventKind.TICKET,
            delivery,
            subject_id=sys_id,
            title=text_at(record, "short_description"),
            text=comment if action == "commented" else description,
            fields=reading.present(
                action=action,
                name=text_at(record, "number")[:40],
                component=text_at(record, "cmdb_ci") or text_at(record, "subcategory"),
                channel=text_at(record, "contact_type"),
                account=reading.opaque(text_at(record, "caller")),
                **{name: text_at(record, source) for name, source in _FIELDS.items()},
            ),
            url=api_url(config, f"/nav_to.do?uri={table}.do%3Fsys_id%3D{sys_id}") if config.base_url else "",
            reply={"table": table},
            audience=reading.reply_audience(config, is_public=True),
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        field = "comments" if note.public and is_public_reply(event, config) else "work_notes"
        url = api_url(config, f"/api/now/table/{event.reply['table']}/{event.subject_id}")
        return [
            Outbound(
                "PATCH",
                url,
                {field: _CODE_TAG.sub("[\u200b", plain_note(note, event, _MAX_NOTE_CHARS))},
                {**authorization(config, "Bearer"), "Accept": "application/json"},
                lookup_url=f"{url}?sysparm_fields=work_notes,comments&sysparm_display_value=true",
                idempotency_marker=note_marker(event),
            )
        ]

    def _why_ignored(
        self, record: Mapping[str, Any], table: str, comment: str, action: str, config: ConnectorConfig
    ) -> str:
        tables = {name.strip() for name in (config.options.get("tables") or "incident").split(",")}
        if table not in tables:
            return "a table that is not in the option tables"
        if why := why_own(config, {text_at(record, "updated_by")}, comment):
            return why
        if action != "commented":
            return ""
        if why := reading.why_no_comments(config):
            return why
        match reading.flag_at(record, "by_requester"):
            case True:
                return ""
            case False:
                return reading.BY_STAFF
            case None:
                return "the business rule does not say who commented: replace it by the one of this version"
