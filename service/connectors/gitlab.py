"""GitLab issues. A comment is as public as the issue, unless the option `internal_notes` makes it an internal note.

Webhooks: https://docs.gitlab.com/user/project/integrations/webhook_events/#work-item-events
Write-back: https://docs.gitlab.com/api/notes/#create-an-issue-note
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from indexer.metadata import Audience
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
from service.connectors.marking import forge_note, note_marker, why_own
from service.connectors.plain_text import markdown_to_text
from service.connectors.reading import text_at

_PUBLIC_LEVEL = "20"
_ID = r"\d{1,18}"
_MAX_NOTE_CHARS = 100_000


class GitLab(Connector):
    """Issues of GitLab projects."""

    name = "gitlab"
    answer_within_s = 10.0
    options: Mapping[str, str] = {
        "author_id": "numeric id of the user whose token writes the notes; what that user writes is ignored",
        "answer_comments": "yes: later comments by the issue's author get a note too, not only new issues",
        "internal_notes": "yes: notes are internal (read by members from the Reporter role up) and may hold internal "
        "articles",
    }
    choices: Mapping[str, frozenset[str]] = {"answer_comments": SWITCH, "internal_notes": SWITCH}
    required = ("secrets", "token")
    secret_form = SecretForm.SIGNING_OR_TOKEN

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_gitlab(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        kind = text_at(body, "object_kind")
        if kind not in {"issue", "work_item", "note"}:
            raise reading.unknown_event("only issue events and comments are taken; select no other triggers")
        signed_id = inbound.headers.get("webhook-id", "") if "webhook-signature" in inbound.headers else ""
        given = signed_id or inbound.headers.get("idempotency-key", "")
        delivery = reading.delivery_id(given, inbound.body)
        replay_key = "" if signed_id else reading.digest(inbound.body)
        project = reading.required_id(body, "project", "id", pattern=_ID)
        said = reading.object_at(body, "object_attributes")
        is_comment = kind == "note"
        if is_comment and text_at(said, "noteable_type") not in {"Issue", "WorkItem"}:
            return reading.ignored(delivery, "a comment on something else than an issue", project, replay_key)
        issue = reading.object_at(body, "issue") if is_comment else said
        number = reading.required_id(issue, "iid", pattern=_ID)
        subject_id = f"{project}#{number}"
        is_public_place = text_at(body, "project", "visibility_level") not in {"0", "10"}
        if why := self._why_ignored(body, is_public_place, config):
            return reading.ignored(delivery, why, subject_id, replay_key, text_at(issue, "state"))
        hidden = [reading.flag_at(issue, "confidential"), reading.flag_at(said, "internal")]
        return Event(
            EventKind.TICKET,
            delivery,
            subject_id=subject_id,
            title=text_at(issue, "title"),
            text=markdown_to_text(text_at(said, "note" if is_comment else "description")),
            fields=reading.present(
                action="commented" if is_comment else "created",
                status=text_at(issue, "state"),
                severity=text_at(issue, "severity").replace("unknown", ""),
                tags=[name for label in reading.objects_at(issue, "labels") if (name := text_at(label, "title"))],
                component=text_at(body, "project", "path_with_namespace"),
                private=True in hidden,
                account=_account(body, issue),
            ),
            url=reading.web_address(text_at(said, "url")),
            reply={"project": project, "number": number, "public_place": is_public_place},
            audience=self._audience(True in hidden, config),
            replay_key=replay_key,
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        is_internal = event.audience is Audience.INTERNAL
        if event.reply["public_place"] and not is_internal and not (note.public and is_public_reply(event, config)):
            return []
        path = f"/api/v4/projects/{event.reply['project']}/issues/{event.reply['number']}/notes"
        url = api_url(config, path, "https://gitlab.com")
        return [
            Outbound(
                "POST",
                url,
                {"body": forge_note(note, event, _MAX_NOTE_CHARS), "internal": is_internal},
                authorization(config, "Bearer"),
                lookup_url=f"{url}?order_by=created_at&sort=desc&per_page=100",
                idempotency_marker=note_marker(event),
            )
        ]

    def _audience(self, is_hidden: bool, config: ConnectorConfig) -> Audience:
        """Internal only where the note is written as an internal one; any other note is as public as the issue."""
        if reading.is_on(config, "internal_notes") and (is_hidden or not config.public_replies):
            return Audience.INTERNAL
        return Audience.PUBLIC

    def _why_ignored(self, body: Mapping[str, Any], is_public_place: bool, config: ConnectorConfig) -> str:
        said = reading.object_at(body, "object_attributes")
        is_comment = text_at(body, "object_kind") == "note"
        if why := why_own(config, {text_at(body, "user", "id")}, text_at(said, "note")):
            return why
        if reading.flag_at(said, "system"):
            return "a note by GitLab itself"
        if text_at(said, "action") not in ({"create", ""} if is_comment else {"open"}):
            return "neither a new issue nor a new comment"
        if is_public_place and not config.public_replies and not reading.is_on(config, "internal_notes"):
            return "the project is public; neither public replies nor internal notes are on"
        if is_comment and (why := reading.why_no_comments(config)):
            return why
        author = text_at(said, "author_id")
        if is_comment and (not author or author != text_at(body, "issue", "author_id")):
            return reading.BY_STAFF
        return ""


def _account(body: Mapping[str, Any], issue: Mapping[str, Any]) -> str:
    """The author of the issue; nobody where that is GitLab's bot, which opens what comes to Service Desk by mail."""
    is_bot = text_at(body, "user", "username").startswith("support-bot")
    return "" if is_bot else reading.opaque(text_at(issue, "author_id"))
