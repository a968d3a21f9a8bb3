"""What there is to say about an event: the assistant's answer and triage, made into a note of `service.intake.note`.

The scope is the event's audience and nothing else. A reply to a customer is asked for with the public scope, so no
internal article is ever in the room when it is written; neither is triage, which is made of other people's tickets.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from indexer.errors import InputError, NotFound
from indexer.metadata import Audience
from indexer.scope import INTERNAL, PUBLIC, Scope
from service.answers import Answer, Citation, Question, Snippet
from service.connectors.contract import ConnectorConfig, Event, EventKind, Note
from service.diagnostics import compare_basics
from service.http.links import article_url, citation_url, whole_links_within
from service.intake.note import Checklist, Findings, TextOf, write_chat_answer, write_reply, write_team_note
from service.intake.recent import RecentTickets, account_of
from service.intake.worker import Composed
from service.queries import read_question
from service.rendering import Step, first_steps, lead_links_out, links_are_open

if TYPE_CHECKING:
    from indexer.articles import Article
    from service.assistant import Assistant
    from service.triage import Triage

_MAX_TITLE_CHARS = 1_000
_MAX_TEXT_CHARS = 18_000
_ARTICLE_ID = re.compile(r"\bKB-\d{4}\b")


class AssistantComposer:
    """Makes notes with the assistant that serves now. Thread-safe."""

    def __init__(
        self,
        assistant: Callable[[], Assistant | None],
        recent: RecentTickets,
        base_url: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            assistant: gives the warm assistant; None while there is none.
            base_url: where people reach the console; links in notes begin with it.
        """
        self._assistant = assistant
        self._recent = recent
        self._base_url = base_url.rstrip("/")
        self._clock = clock

    @property
    def index_version(self) -> str | None:
        """The index that answers now; None while there is none."""
        assistant = self._assistant()
        return assistant.index_version if assistant else None

    def compose(self, event: Event, config: ConnectorConfig, *, is_public: bool, connector: str) -> Composed:
        """The note about `event`.

        Args:
            is_public: whether it is a reply to the customer.

        Raises:
            ValueError: there is no assistant, or a public reply is asked for an internal event.
        """
        assistant = self._assistant()
        if assistant is None:
            raise ValueError("there is no assistant yet")
        if is_public and event.audience is not Audience.PUBLIC:
            raise ValueError("an internal event has no public reply")
        try:
            question = Question(event.text[:_MAX_TEXT_CHARS], event.title[:_MAX_TITLE_CHARS])
        except InputError:
            return Composed(None, assistant.index_version, "there is no text to search for")
        if event.kind is EventKind.QUESTION:
            scope = INTERNAL if event.audience is Audience.INTERNAL else PUBLIC
            answer = assistant.answer(question, scope)
            note = write_chat_answer(answer, self._link, self._text_of(assistant, scope), is_public=is_public)
            return Composed(note, answer.index_version)
        if event.audience is Audience.PUBLIC:
            answer = assistant.answer(question, PUBLIC)
            reply = write_reply(answer, self._link, self._text_of(assistant, PUBLIC), is_public=is_public)
            return Composed(reply, answer.index_version, "" if reply else "no public article answers with confidence")
        return self._for_team(assistant, event, question, connector)

    def _for_team(self, assistant: Assistant, event: Event, question: Question, connector: str) -> Composed:
        from service.triage import TicketWindow, triage

        window = None
        vector = assistant.vectors([question], INTERNAL)[0]
        if self._recent.keep_s > 0:
            now_s = self._clock()
            signatures = read_question(question).signatures
            fingerprint = assistant.snapshot.manifest.fingerprint
            embedder = hashlib.sha256(repr(fingerprint).encode()).hexdigest()[:32]
            recent = self._recent.window(connector, signatures, embedder, now_s)
            window = TicketWindow(recent, event.subject_id, now_s, account_of(connector, event))
            self._recent.remember(connector, event, vector, signatures, embedder, now_s)
        answer = assistant.answer(question, INTERNAL)
        found = triage(assistant, question, INTERNAL, answer=answer, vector=vector, window=window)
        is_alert = event.kind is EventKind.ALERT
        findings = Findings(
            answer=answer,
            triage=found,
            draft="" if is_alert else self._draft(assistant, question, answer, found),
            checklist=self._checklist(assistant, event, found) if is_alert else None,
        )
        note = write_team_note(event, findings, self._link, self._text_of(assistant, INTERNAL))
        return Composed(note, answer.index_version)

    def _draft(self, assistant: Assistant, question: Question, answer: Answer, found: Triage) -> str:
        """A reply that may be sent as it stands: a public article, or else a request for what is missing.

        Where no article is trusted, none says what is missing; then it is what helps with any ticket.
        """
        public = assistant.answer(dataclasses.replace(question, limit=1), PUBLIC)
        reply: Note | None = write_reply(public, self._link, self._text_of(assistant, PUBLIC))
        if reply is not None:
            return reply.markdown
        return (found.diagnostics if answer.answered else compare_basics(question)).message

    def _checklist(self, assistant: Assistant, event: Event, found: Triage) -> Checklist | None:
        """The runbook that the alert names, or else the one that fits."""
        named = self._named_runbook(assistant, str(event.fields.get("runbook_url", "")))
        if named is not None and (steps := first_steps(named)):
            return self._as_checklist(assistant, named, steps, "the alert names it")
        fitting = found.playbook and _find(assistant, found.playbook.path, INTERNAL)
        if found.playbook and fitting and (steps := first_steps(fitting)):
            return self._as_checklist(assistant, fitting, steps, found.playbook.reason)
        return None

    def _named_runbook(self, assistant: Assistant, url: str) -> Article | None:
        """The article that an address names, by its id or by the end of its path."""
        from urllib.parse import unquote, urlsplit

        try:
            parts = urlsplit(url)
        except ValueError:
            return None
        path = unquote(parts.path).strip("/")
        names = [*_ARTICLE_ID.findall(url), path]
        while "/" in path:
            path = path.partition("/")[2]
            names.append(path)
        found = (_find(assistant, name, INTERNAL) for name in names if name)
        return next((article for article in found if article is not None), None)

    def _as_checklist(self, assistant: Assistant, article: Article, steps: Sequence[Step], reason: str) -> Checklist:
        link_for = whole_links_within(assistant, INTERNAL, self._base_url)
        told = tuple(lead_links_out(step.markdown, article.path, link_for) for step in steps)
        url = self._base_url + article_url(article.path)
        return Checklist(article.title, article.path, url, told, reason)

    def _link(self, citation: Citation) -> str:
        return self._base_url + citation_url(citation)

    def _text_of(self, assistant: Assistant, scope: Scope) -> TextOf:
        """A snippet's words; none to the public where an article that it links to is outside the scope."""
        link_for = whole_links_within(assistant, scope, self._base_url)

        def text_of(snippet: Snippet) -> str:
            text, path = snippet.text, snippet.citation.path
            is_open = Audience.INTERNAL in scope.audiences or links_are_open(text, path, link_for)
            return lead_links_out(text, path, link_for) if is_open else ""

        return text_of


def _find(assistant: Assistant, name: str, scope: Scope) -> Article | None:
    try:
        return assistant.article(name, scope)
    except NotFound:
        return None
