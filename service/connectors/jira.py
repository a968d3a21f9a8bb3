"""Jira Service Management (Cloud): requests and comments in, internal comments out.

Webhooks: https://developer.atlassian.com/cloud/jira/service-desk/webhooks/
Write-back: https://developer.atlassian.com/cloud/jira/service-desk/rest/api-group-request/ (comment, `public`), or with
the option `api: platform` https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-comments/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from service.connectors import reading, signatures
from service.connectors.adf import to_adf
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
from service.connectors.markup import to_jira_wiki
from service.connectors.plain_text import adf_to_text, wiki_to_text
from service.connectors.reading import text_at

_CREATED = "jira:issue_created"
_COMMENTED = "comment_created"
_OTHERS = frozenset({"jira:issue_updated", "jira:issue_deleted", "comment_updated", "comment_deleted"})
_KEY = r"[A-Z][A-Z0-9_]{0,99}-\d{1,18}"
_MAX_COMMENT_CHARS = 30_000
_GATEWAY = "api.atlassian.com"
"""Where scoped tokens work: https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/"""


class Jira(Connector):
    """Requests of Jira Service Management."""

    name = "jira"
    answer_within_s = 10.0
    options: Mapping[str, str] = {
        "author_id": "accountId of the user whose token writes the notes; what that user writes is ignored",
        "answer_comments": "yes: requesters' later public comments get a note too, not only new requests",
        "projects": "comma-separated project keys; other projects are ignored; empty for all",
        "api": "servicedesk (default) or platform: which REST interface the comment is written with",
        "site_url": "address of the site, for links to requests; needed where base_url is at api.atlassian.com",
    }
    choices: Mapping[str, frozenset[str]] = {"answer_comments": SWITCH, "api": frozenset({"servicedesk", "platform"})}
    required = ("secrets", "base_url", "token")

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, reading.JSON_TYPE)
        signatures.verify_hub_signature(inbound, config.secrets, "x-hub-signature")

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        body = reading.read_object(inbound.body)
        kind = text_at(body, "webhookEvent")
        if kind not in {_CREATED, _COMMENTED, *_OTHERS}:
            raise reading.unknown_event("only issue and comment events are taken; subscribe the webhook to no others")
        delivery = reading.delivery_id(inbound.headers.get("x-atlassian-webhook-identifier", ""), inbound.body)
        replay_key = reading.digest(inbound.body)
        key = reading.required_id(body, "issue", "key", pattern=_KEY)
        fields = reading.object_at(body, "issue", "fields")
        if why := self._why_ignored(kind, body, key, config):
            return reading.ignored(delivery, why, key, replay_key, _status(fields))
        is_comment = kind == _COMMENTED
        return Event(
            EventKind.TICKET,
            delivery,
            subject_id=key,
            title=text_at(fields, "summary"),
            text=_rich_text(body, "comment", "body") if is_comment else _rich_text(fields, "description"),
            fields=reading.present(
                action="commented" if is_comment else "created",
                priority=text_at(fields, "priority", "name").lower(),
                status=_status(fields),
                category=text_at(fields, "issuetype", "name"),
                component=_first_name(fields, "components"),
                tags=reading.texts_at(fields, "labels"),
                account=reading.opaque(text_at(fields, "reporter", "accountId")),
            ),
            url=_browse_url(key, config),
            audience=reading.reply_audience(config, is_public=True),
            replay_key=replay_key,
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        marker = note_marker(event)
        is_public = note.public and is_public_reply(event, config)
        markdown = clip(note.markdown, _MAX_COMMENT_CHARS // 2)
        issue = f"issue/{event.subject_id}/comment"
        body: dict[str, Any]
        if _uses_platform_api(config):
            path = f"/rest/api/3/{issue}"
            visibility = {"key": "sd.public.comment", "value": {"internal": not is_public}}
            body = {"body": to_adf(markdown, marker), "properties": [visibility]}
        else:
            path = f"/rest/servicedeskapi/request/{event.subject_id}/comment"
            body = {"body": f"{clip(to_jira_wiki(markdown), _MAX_COMMENT_CHARS)}\n\n{marker}", "public": is_public}
        return [
            Outbound(
                "POST",
                api_url(config, path),
                body,
                {**authorization(config, "Bearer"), "Accept": "application/json"},
                lookup_url=api_url(config, f"/rest/api/2/{issue}?orderBy=-created&maxResults=100"),
                idempotency_marker=marker,
            )
        ]

    def _why_ignored(self, kind: str, body: Mapping[str, Any], key: str, config: ConnectorConfig) -> str:
        projects = {name.strip().upper() for name in config.options.get("projects", "").split(",") if name.strip()}
        if projects and key.rpartition("-")[0] not in projects:
            return "a project that is not in the option projects"
        if not _is_service_project(body, config):
            return "not a service project, where every comment can be read by all who see the issue"
        authors = {text_at(body, "comment", "author", "accountId"), text_at(body, "user", "accountId")}
        if why := why_own(config, authors, _rich_text(body, "comment", "body")):
            return why
        if kind == _CREATED:
            return ""
        if kind != _COMMENTED:
            return "neither a new request nor a new comment"
        if why := reading.why_no_comments(config):
            return why
        if reading.flag_at(body, "comment", "jsdPublic") is not True:
            return "an internal comment"
        if text_at(body, "comment", "author", "accountType") == "app":
            return "a comment by an app"
        return "" if _is_by_requester(body) else reading.BY_STAFF


def _uses_platform_api(config: ConnectorConfig) -> bool:
    return config.options.get("api", "").strip().lower() == "platform"


def _browse_url(key: str, config: ConnectorConfig) -> str:
    """Where people read the request; empty if only Atlassian's gateway is known, which shows no pages."""
    site = config.options.get("site_url", "").strip().rstrip("/") or config.base_url.rstrip("/")
    return f"{site}/browse/{key}" if site and urlsplit(site).hostname != _GATEWAY else ""


def _is_service_project(body: Mapping[str, Any], config: ConnectorConfig) -> bool:
    """Only service projects have internal comments.

    The service desk interface refuses any other project itself; the platform's would write a comment that all can read.
    """
    kind = text_at(body, "issue", "fields", "project", "projectTypeKey")
    return kind == "service_desk" or (not kind and not _uses_platform_api(config))


def _status(fields: Mapping[str, Any]) -> str:
    """`done` for every status of that category, since each project names its own."""
    is_done = text_at(fields, "status", "statusCategory", "key") == "done"
    return "done" if is_done else text_at(fields, "status", "name").lower()


def _is_by_requester(body: Mapping[str, Any]) -> bool:
    """Whether the comment is the reporter's, or that of a customer who has no other role in Jira."""
    author = text_at(body, "comment", "author", "accountId")
    is_reporter = author != "" and author == text_at(body, "issue", "fields", "reporter", "accountId")
    return is_reporter or text_at(body, "comment", "author", "accountType") == "customer"


def _rich_text(data: Mapping[str, Any], *path: str) -> str:
    """Webhooks carry wiki markup; automation rules that pass the REST v3 form on carry Atlassian documents."""
    document = reading.object_at(data, *path)
    return adf_to_text(document) if document else wiki_to_text(text_at(data, *path))


def _first_name(fields: Mapping[str, Any], name: str) -> str:
    items = reading.list_at(fields, name)
    return text_at(items[0], "name") if items and isinstance(items[0], dict) else ""
