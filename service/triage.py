"""Triage of one ticket: what it is about, how bad it may be, who else has it, what is missing. For the team only.

question, answer -> labels, known errors -> `triage_labels`, here
question         -> severity hint        -> `triage_severity`
recent tickets   -> duplicates, burst    -> `triage_similar`
runbook, answer  -> missing diagnostics  -> `triage_playbook`, `diagnostics`

Every suggestion carries its reason and its evidence; where there is no evidence there is no suggestion. It is made of
internal articles and of other people's tickets, so no public caller gets any of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from indexer.articles import Article
from indexer.declared import DeclaredErrors, declared_signatures
from indexer.embedding import Vectors
from indexer.errors import NotFound
from indexer.history import ResolvedTickets, read_tickets
from indexer.metadata import Audience
from indexer.scope import Scope
from indexer.signatures import extract_signatures, signature_key
from indexer.snapshot import HISTORY, Snapshot
from service.answers import Answer, Citation, Question
from service.citing import cite_block
from service.diagnostics import Diagnostics, compare_diagnostics
from service.queries import read_question
from service.triage_labels import ArticleOf, ResolvedNeighbour, SuggestedLabel, nearest_resolved, suggest_labels
from service.triage_playbook import PLAYBOOK_TYPES, Playbook, find_asking, find_playbook
from service.triage_severity import SeverityHint, hint_severity
from service.triage_similar import (
    Duplicate,
    PossibleIncident,
    RecentTicket,
    find_burst,
    find_duplicates,
    name_signatures,
    telling,
)

if TYPE_CHECKING:
    from service.assistant import Assistant

MAX_KNOWN_ERRORS = 5
_LOOKED_AT = 10
_FEW = 5
_COMMON_SHARE = 0.1
"""A signature that more than five articles and more than this share of all hold names no error in particular."""


@dataclass(frozen=True, slots=True)
class KnownError:
    """An article about exactly the error that the ticket shows.

    Attributes:
        signatures: exact signatures in both.
        citation: where the article has the first of them.
        reason: for a person.
    """

    article_id: str
    path: str
    title: str
    audience: str
    signatures: tuple[str, ...]
    citation: Citation
    reason: str


@dataclass(frozen=True, slots=True)
class Triage:
    """What triage has to say; empty fields mean that there is no evidence.

    Attributes:
        components, products, tags: suggested values, the best founded first.
        severity: a hint, never a decision.
        duplicates: open tickets and declared incidents that are likely about the same.
        incident: a burst of this symptom.
        playbook: the runbook for it.
        diagnostics: what is asked for and what the ticket holds.
        index_version: the index that it was made from.
    """

    components: tuple[SuggestedLabel, ...]
    products: tuple[SuggestedLabel, ...]
    tags: tuple[SuggestedLabel, ...]
    known_errors: tuple[KnownError, ...]
    severity: SeverityHint | None
    duplicates: tuple[Duplicate, ...]
    incident: PossibleIncident | None
    playbook: Playbook | None
    diagnostics: Diagnostics
    index_version: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values; field names are the contract of `kb triage --json` and of `/v1`."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class TicketWindow:
    """What the help desk knows of the recent past.

    Attributes:
        recent: tickets of the last days, any order; the ticket itself may be among them.
        own_id: its id, so that it is not its own duplicate.
        now_s: Unix time that bursts are counted up to, in seconds.
        own_account: who sent the ticket; not needed where `recent` holds the ticket itself.
    """

    recent: Sequence[RecentTicket] = ()
    own_id: str = ""
    now_s: float = 0.0
    own_account: str = ""

    @property
    def account(self) -> str:
        """Who sent the ticket; empty if that is unknown."""
        own = (ticket.account for ticket in self.recent if ticket.ticket_id == self.own_id)
        return self.own_account or next(own, "")


def triage_ticket(
    question: Question,
    answer: Answer,
    article_of: ArticleOf,
    *,
    known: Sequence[tuple[Article, frozenset[str]]] = (),
    neighbours: Sequence[ResolvedNeighbour] = (),
    vector: Vectors | None = None,
    window: TicketWindow | None = None,
) -> Triage:
    """Triage `question`. Pure.

    Args:
        answer: the assistant's answer to it in the team's scope.
        article_of: the visible article with a path.
        known: visible articles that share telling signatures with the question, and which.
        neighbours: the nearest resolved tickets.
        vector: the question's unit vector; without it tickets are not compared.
        window: recent tickets to compare with.
    """
    labels = suggest_labels(answer, article_of, neighbours)
    playbook = find_playbook(answer, article_of)
    signatures = read_question(question).signatures
    duplicates: tuple[Duplicate, ...] = ()
    incident = None
    if vector is not None and window is not None:
        others = [ticket for ticket in window.recent if ticket.ticket_id != window.own_id]
        duplicates = find_duplicates(vector, signatures, others, window.account)
        incident = find_burst(vector, signatures, others, window.now_s, account=window.account)
    return Triage(
        components=labels.components,
        products=labels.products,
        tags=labels.tags,
        known_errors=find_known_errors(answer, known),
        severity=hint_severity(question.title, question.text),
        duplicates=duplicates,
        incident=incident,
        playbook=playbook,
        diagnostics=compare_diagnostics(question, find_asking(answer, article_of)),
        index_version=answer.index_version,
    )


def find_known_errors(answer: Answer, known: Iterable[tuple[Article, frozenset[str]]]) -> tuple[KnownError, ...]:
    """Those of the articles that are about the shared error: that declare it, or known errors that show it.

    In the order of the answer; an article that the answer does not hold comes after those that it holds.
    """
    place = {suggestion.path: index for index, suggestion in enumerate(answer.suggestions)}
    found = []
    for article, shared in known:
        names = _declared(article) & shared
        if article.meta.type == "known-error":
            names |= frozenset(name for name in shared if "_" not in name)
        citation = _cite_signature(article, names) if names and article.meta.type not in PLAYBOOK_TYPES else None
        if citation is not None:
            found.append(_known_error(article, names, citation))
    found.sort(key=lambda error: (place.get(error.path, len(place)), -len(error.signatures), error.path))
    return tuple(found[:MAX_KNOWN_ERRORS])


def triage(
    assistant: Assistant,
    question: Question,
    scope: Scope,
    *,
    answer: Answer | None = None,
    vector: Vectors | None = None,
    window: TicketWindow | None = None,
) -> Triage:
    """Triage `question` with what the assistant's index knows.

    Args:
        scope: the caller's; must open internal articles.
        answer: the assistant's answer in this scope, where the caller has it already.
        vector: as `Assistant.vectors` gives it, where the caller has it already.
        window: recent tickets; without `now_s` the time is now.

    Raises:
        ValueError: the scope is a public one.
    """
    if Audience.INTERNAL not in scope.audiences:
        raise ValueError("triage is made of internal articles and other people's tickets: no public caller gets it")
    if answer is None:
        answer = assistant.answer(Question(question.text, question.title, max(question.limit, _LOOKED_AT)), scope)
    article_of = article_reader(assistant, scope)
    snapshot = assistant.snapshot
    history = _history(snapshot)
    if vector is None and (history is not None or window is not None):
        vector = assistant.vectors([question], scope)[0]
    if window is not None and not window.now_s:
        window = replace(window, now_s=time.time())
    return triage_ticket(
        question,
        answer,
        article_of,
        known=list(_sharing(snapshot, answer.signatures, article_of)),
        neighbours=nearest_resolved(history, vector) if history is not None and vector is not None else (),
        vector=vector,
        window=window,
    )


def article_reader(assistant: Assistant, scope: Scope) -> ArticleOf:
    """Reads articles by path or id; None where there is none inside `scope`."""

    def article_of(path: str) -> Article | None:
        try:
            return assistant.article(path, scope)
        except NotFound:
            return None

    return article_of


def _sharing(
    snapshot: Snapshot, signatures: Iterable[str], article_of: ArticleOf
) -> Iterable[tuple[Article, frozenset[str]]]:
    """The visible articles that hold telling signatures of the question, and which; common ones do not count."""
    cards = snapshot.store.cards
    shared: dict[int, set[str]] = {}
    for signature in telling(signatures):
        rows = snapshot.signatures.get(signature, [])
        if len(rows) <= max(_FEW, _COMMON_SHARE * len(cards)):
            for row in rows:
                shared.setdefault(row, set()).add(signature)
    for row, names in sorted(shared.items()):
        article = article_of(cards[row].path)
        if article is not None:
            yield article, frozenset(names)


_histories: dict[str, ResolvedTickets] = {}


def _history(snapshot: Snapshot) -> ResolvedTickets | None:
    """The resolved tickets of one index version, kept until another one is asked for."""
    if snapshot.history is None:
        return None
    key = str(snapshot.folder)
    history = _histories.get(key)
    if history is None:
        history = read_tickets(snapshot.folder / HISTORY)
        _histories.clear()  # in another thread too, at any moment: what is returned is never read back
        _histories[key] = history
    return history


def _declared(article: Article) -> frozenset[str]:
    return telling(signature_key(signature) for signature in declared_signatures(article.meta.error_codes))


def _cite_signature(article: Article, signatures: frozenset[str]) -> Citation | None:
    """The first block of the article that holds one of `signatures`."""
    declared = DeclaredErrors(signatures)
    for section in article.sections:
        for block in section.blocks:
            text = article.source.text[block.start : block.end]
            held = {signature_key(signature) for signature in extract_signatures(text)} | declared.find(text)
            if held.intersection(signatures):
                return cite_block(article, section, block)
    return None


def _known_error(article: Article, shared: frozenset[str], citation: Citation) -> KnownError:
    names = tuple(sorted(shared))
    reason = f"both show {name_signatures(names)}"
    return KnownError(article.article_id, article.path, article.title, article.audience.value, names, citation, reason)
