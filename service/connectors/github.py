"""GitHub issues. A comment is as public as the issue, so what may be in it depends on the repository.

Webhooks: https://docs.github.com/webhooks/webhook-events-and-payloads#issues
Write-back: https://docs.github.com/rest/issues/comments#create-an-issue-comment
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

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
    is_public_reply,
)
from service.connectors.marking import forge_note, note_marker, why_own
from service.connectors.plain_text import markdown_to_text
from service.connectors.reading import text_at

_STAFF = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
_REPOSITORY = r"[\w.-]{1,100}/(?!\.{1,2}$)[\w.-]{1,100}"
_MAX_COMMENT_CHARS = 60_000


class GitHub(Connector):
    """Issues of GitHub repositories."""

    name = "github"
    answer_within_s = 10.0
    options: Mapping[str, str] = {
        "author_id": "numeric id of the account whose token writes the notes; what it writes is ignored",
        "answer_comments": "yes: later comments by outsiders get a note too, not only new issues",
        "internal_repositories": "comma-separated owner/name of private repositories all of whose readers may see "
        "internal articles",
    }
    choices: Mapping[str, frozenset[str]] = {"answer_comments": SWITCH}
    required = ("secrets", "token")

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_hub_signature(inbound, config.secrets, "x-hub-signature-256")

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        kind = inbound.headers.get("x-github-event", "")
        delivery = reading.delivery_id(inbound.headers.get("x-github-delivery", ""), inbound.body)
        replay_key = reading.digest(inbound.body)
        if kind == "ping":
            return Event(EventKind.HANDSHAKE, delivery, immediate={"ok": True}, replay_key=replay_key)
        comment = reading.object_at(body, "comment")
        # The header is not signed, so what the body holds must agree with it.
        if kind not in {"issues", "issue_comment"} or bool(comment) != (kind == "issue_comment"):
            raise reading.unknown_event("only Issues and Issue comments are taken; select no other events")
        repository = reading.required_id(body, "repository", "full_name", pattern=_REPOSITORY)
        issue = reading.object_at(body, "issue")
        number = reading.required_id(issue, "number", pattern=r"\d{1,18}")
        subject_id = f"{repository}#{number}"
        is_private = reading.flag_at(body, "repository", "private") is True
        if why := self._why_ignored(body, is_private, config):
            return reading.ignored(delivery, why, subject_id, replay_key, text_at(issue, "state"))
        said = comment or issue
        return Event(
            EventKind.TICKET,
            delivery,
            subject_id=subject_id,
            title=text_at(issue, "title"),
            text=markdown_to_text(text_at(said, "body")),
            fields=reading.present(
                action="commented" if comment else "created",
                status=text_at(issue, "state"),
                tags=[name for label in reading.objects_at(issue, "labels") if (name := text_at(label, "name"))],
                component=repository,
                account=reading.opaque(text_at(issue, "user", "id")),
            ),
            url=reading.web_address(text_at(said, "html_url")),
            reply={
                "repository": repository,
                "number": number,
                "since": text_at(said, "created_at"),
                "public_place": not is_private,
            },
            audience=self._audience(repository, is_private, config),
            replay_key=replay_key,
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        if event.reply["public_place"] and not (note.public and is_public_reply(event, config)):
            return []
        path = f"/repos/{event.reply['repository']}/issues/{event.reply['number']}/comments"
        url = api_url(config, path, "https://api.github.com")
        return [
            Outbound(
                "POST",
                url,
                {"body": forge_note(note, event, _MAX_COMMENT_CHARS)},
                {
                    **authorization(config, "Bearer"),
                    "Accept": "application/vnd.github+json",
                    "X-GitHub-Api-Version": "2022-11-28",
                },
                lookup_url=f"{url}?per_page=100&since={quote(event.reply['since'], safe='')}",
                idempotency_marker=note_marker(event),
            )
        ]

    def _audience(self, repository: str, is_private: bool, config: ConnectorConfig) -> Audience:
        vouched = {name.strip().lower() for name in config.options.get("internal_repositories", "").split(",")}
        return Audience.INTERNAL if is_private and repository.lower() in vouched else Audience.PUBLIC

    def _why_ignored(self, body: Mapping[str, Any], is_private: bool, config: ConnectorConfig) -> str:
        comment = reading.object_at(body, "comment")
        if why := why_own(config, {text_at(body, "sender", "id")}, text_at(comment, "body")):
            return why
        if text_at(body, "sender", "type") == "Bot":
            return "written by a bot"
        if reading.object_at(body, "issue", "pull_request"):
            return "a pull request"
        if text_at(body, "action") != ("created" if comment else "opened"):
            return "neither a new issue nor a new comment"
        if not is_private and not config.public_replies:
            return "the repository is public and public replies are off"
        if comment and (why := reading.why_no_comments(config)):
            return why
        if comment and text_at(comment, "author_association") in _STAFF:
            return reading.BY_STAFF
        return ""
