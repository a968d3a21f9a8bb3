"""The notes that intake writes, as Markdown. Pure.

- `write_team_note`: for the people who work on the ticket. Everything that is known, each with where it comes from.
- `write_reply`: for the customer, and the draft of one: one public article, or nothing.
- `write_chat_answer`: for somebody who asked in a chat.

What a customer may read is made by `write_reply` and `write_chat_answer` alone, and they are given nothing but an
answer from the public articles.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.answers import Answer, Reason, Snippet, Suggestion
from service.connectors.contract import Event, EventKind, Note, NoteLink
from service.notes import LinkTo, block_quote, cite_snippet, escape, link_lines, quote_lines, quote_snippet
from service.quoting import make_whole
from service.sections import SectionRole, role_of
from service.triage import Triage
from service.triage_similar import Duplicate, NamedTicket, telling

TextOf = Callable[[Snippet], str]
"""A snippet's words with links that work anywhere; empty where it may not be shown, as to the public what links to an
internal article."""

MAX_ARTICLES = 3
_MAX_STEPS = 20
_MAX_NAMED = 10
_WEB_ADDRESS = re.compile(r"https?://[^\s<>]+")


@dataclass(frozen=True, slots=True)
class Checklist:
    """A runbook's first 15 minutes.

    Attributes:
        url: opens the runbook.
        steps: each in Markdown.
        reason: why it is this runbook.
    """

    title: str
    path: str
    url: str
    steps: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a team note is made of.

    Attributes:
        answer: from all articles.
        draft: a reply that may be sent as it stands, made by `write_reply`, or the request for what is missing; empty
            where none can be offered.
        checklist: for an alert.
    """

    answer: Answer
    triage: Triage
    draft: str = ""
    checklist: Checklist | None = None

    @property
    def draft_asks(self) -> bool:
        """Whether the draft is the request for what is missing."""
        return bool(self.draft) and self.draft == self.triage.diagnostics.message


def write_team_note(event: Event, findings: Findings, link_to: LinkTo, text_of: TextOf) -> Note:
    """The internal note for a ticket or an alert: what to do first, then what else is known."""
    answer, triage = findings.answer, findings.triage
    is_alert = event.kind is EventKind.ALERT
    sections = [
        _incident(triage),
        _severity(triage),
        _checklist(findings.checklist, answer) if is_alert else _missing(findings, link_to),
        _first_article(findings, link_to, text_of),
        "" if is_alert else _draft(findings, link_to),
        _further_articles(answer, link_to),
        _known_errors(findings, link_to),
        _duplicates(triage),
        _labels(triage, event),
    ]
    return Note(
        markdown="\n\n".join(section for section in sections if section) + "\n",
        summary=_summary(answer),
        links=_links(answer.suggestions[:MAX_ARTICLES], link_to),
        answered=answer.answered,
        tags=tuple(label.value for label in triage.tags),
        claims=_claims(findings),
    )


def write_reply(answer: Answer, link_to: LinkTo, text_of: TextOf, *, is_public: bool = True) -> Note | None:
    """The reply to a customer: the trusted article, with its title as the link; None where no article is trusted.

    Args:
        answer: from the public articles alone.
        is_public: False for a place that the public can read and a vendor that keeps no replies apart.
    """
    if not (answer.answered and answer.suggestions):
        return None
    best = answer.suggestions[0]
    lines = ["Hello,", "", "this article describes what you report and what to do about it:", ""]
    lines += [
        _public_article(best, link_to, text_of, quotes=1),
        "",
        "If it does not help, reply here and we will look into it.",
    ]
    links = _links([best], link_to)
    return Note("\n".join(lines) + "\n", best.title, links, public=is_public, claims=(best.path,))


def write_chat_answer(answer: Answer, link_to: LinkTo, text_of: TextOf, *, is_public: bool) -> Note:
    """The answer to somebody who asked; an honest none where no article is trusted.

    Args:
        answer: from the articles that those who read the place may see.
    """
    if not (answer.answered and answer.suggestions):
        text = "No article covers this. Please describe the symptom with its exact error text, or ask a person."
        return Note(text + "\n", "No article covers this", answered=False, public=is_public)
    best = answer.suggestions[:MAX_ARTICLES]
    parts = [_public_article(best[0], link_to, text_of, quotes=2)]
    if others := _links(best[1:], link_to):
        parts.append("Also:\n" + "\n".join(f"- [{escape(link.title)}](<{link.url}>)" for link in others))
    return Note("\n\n".join(parts) + "\n", best[0].title, _links(best, link_to), public=is_public)


def _claims(findings: Findings) -> tuple[str, ...]:
    """The articles that are named for certain, and what makes the ticket urgent. Duplicates go on coming."""
    answer, triage = findings.answer, findings.triage
    first = answer.suggestions[0].path if answer.answered and answer.suggestions else "no article"
    severity = [triage.severity.severity.value] if triage.severity else []
    incident = ["incident"] if triage.incident else []
    return (first, *(error.path for error in triage.known_errors), *severity, *incident)


def _summary(answer: Answer) -> str:
    if not answer.answered:
        return "No article covers this"
    return f"{answer.suggestions[0].title} ({answer.sure_percent}% sure)"


def _first_article(findings: Findings, link_to: LinkTo, text_of: TextOf) -> str:
    """The first article with its quoted lines, if it is trusted and not the checklist already."""
    answer = findings.answer
    index = f"index {answer.index_version}"
    if not answer.suggestions:
        return f"**No article covers this** ({index})."
    sure = f"{answer.sure_percent}% sure"
    if not answer.answered:
        return f"**No article covers this** (the nearest is {sure}, {answer.threshold:.0%} needed; {index})."
    sure = f"{sure}, {index}"
    best = answer.suggestions[0]
    if findings.checklist is not None and findings.checklist.path == best.path:
        return f"**Suggested article**: the same ({sure})"
    lines = [f"**Suggested article** ({sure})", "", f"**{escape(best.title)}**{_badge(best)}"]
    for snippet in best.snippets[:1]:
        shown = dataclasses.replace(snippet, text=text_of(snippet))
        if not findings.draft_asks and block_quote(make_whole(shown.text)) in findings.draft:
            lines += ["", f"{cite_snippet(snippet, link_to)}: quoted in the draft reply"]
        else:
            lines += ["", quote_snippet(shown, link_to)]
    if why := "; ".join(reason.detail for reason in best.reasons if _tells(reason)):
        lines += ["", f"Why: {escape(why)}"]
    return "\n".join(lines)


def _tells(reason: Reason) -> bool:
    """Whether a person learns something: an exact error or resolved tickets, and not that words are alike."""
    return reason.signal == "tickets" or (reason.signal == "signature" and bool(telling(reason.detail.split(", "))))


def _further_articles(answer: Answer, link_to: LinkTo) -> str:
    title = "Further articles" if answer.answered else "What came nearest"
    articles = answer.suggestions[1 if answer.answered else 0 : MAX_ARTICLES]
    lines = []
    for article in articles:
        cited = f" ({link_lines(article.snippets[0].citation, link_to)})" if article.snippets else ""
        lines.append(f"- {escape(article.title)}{_badge(article)}{cited}")
    return _section(title, lines)


def _badge(suggestion: Suggestion) -> str:
    return ", internal" if suggestion.audience == "internal" else ""


def _public_article(suggestion: Suggestion, link_to: LinkTo, text_of: TextOf, quotes: int) -> str:
    """Title as a link, summary and quoted lines; no path, score, reason, count or audience.

    What to do is quoted first, and never what one sees: who reports a symptom has seen it.
    """
    roles = [(role_of(snippet.citation.heading_path), snippet) for snippet in suggestion.snippets if text_of(snippet)]
    told = [(role, snippet) for role, snippet in roles if role not in {SectionRole.SIGHT, SectionRole.REFERENCE}]
    shown = [snippet for _, snippet in sorted(told, key=lambda pair: pair[0] is not SectionRole.ACTION)]
    cited = next(iter([*shown, *suggestion.snippets]), None)
    title = escape(suggestion.title)
    heading = f"**[{title}](<{link_to(cited.citation)}>)**" if cited else f"**{title}**"
    quoted = (block_quote(make_whole(text_of(snippet))) for snippet in shown[:quotes])
    return "\n\n".join(part for part in (heading, escape(suggestion.summary), *quoted) if part)


def _known_errors(findings: Findings, link_to: LinkTo) -> str:
    """Those that are not the first article, which says already that it shares the error."""
    answer = findings.answer
    best = answer.suggestions[0].path if answer.answered and answer.suggestions else ""
    lines = [
        f"- {escape(error.title)}: {escape(error.reason)} ({link_lines(error.citation, link_to)})"
        for error in findings.triage.known_errors
        if error.path != best
    ]
    return _section("Known errors with this very signature", lines)


def _duplicates(triage: Triage) -> str:
    """Those that the possible incident does not name already."""
    named = triage.incident.ticket_ids[:_MAX_NAMED] if triage.incident else ()
    lines = []
    for ticket in triage.duplicates:
        if ticket.ticket_id in named:
            continue
        title = f" {escape(ticket.title)}" if ticket.title not in {"", ticket.name} else ""
        lines.append(f"- {_ticket(ticket)}{title}, {_time(ticket.created_s)}: {escape(ticket.reason)}")
    return _section("Likely the same as", lines)


def _incident(triage: Triage) -> str:
    if triage.incident is None:
        return ""
    names = ", ".join(_ticket(ticket) for ticket in triage.incident.tickets[:_MAX_NAMED])
    return f"**Possible incident**: {escape(triage.incident.reason)}. The others: {names}"


def _ticket(ticket: Duplicate | NamedTicket) -> str:
    """What people call it, as a link where an address is known."""
    name = escape(ticket.name)
    return f"[{name}](<{ticket.url}>)" if _WEB_ADDRESS.fullmatch(ticket.url) else name


def _labels(triage: Triage, event: Event) -> str:
    """One line for each reason; that the first article has a value needs no saying."""
    held = {str(tag).casefold() for tag in event.fields.get("tags", ())}
    by_reason: dict[str, dict[str, list[str]]] = {}
    for name, labels in (
        ("component", triage.components[:2]),
        ("product", triage.products[:2]),
        ("tags", [tag for tag in triage.tags if tag.value.casefold() not in held]),
    ):
        for label in labels:
            rows = by_reason.setdefault(label.reason if label.tickets else "", {})
            rows.setdefault(name, []).append(f"`{label.value}`")
    lines = []
    for reason, rows in by_reason.items():
        told = "; ".join(f"{name} {', '.join(values)}" for name, values in rows.items())
        lines.append(f"- {told}{f' ({escape(reason)})' if reason else ''}")
    return _section("Suggested fields", lines)


def _severity(triage: Triage) -> str:
    hint = triage.severity
    return f"**Severity hint: {hint.severity.value}.** {escape(hint.reason)}" if hint else ""


def _missing(findings: Findings, link_to: LinkTo) -> str:
    """What to ask the customer for, unless the draft does, and what to look up, each with what asks for it."""
    diagnostics = findings.triage.diagnostics
    lines = []
    if not findings.draft_asks:
        asked = zip(diagnostics.asks, diagnostics.sources, strict=False)
        lines += [f"- {escape(ask)} ({link_lines(source, link_to)})" for ask, source in asked]
    lines += [
        f"- {escape(item.text)} ({link_lines(item.citation, link_to)}, for us to look up)"
        for item in diagnostics.missing
        if not item.by_customer
    ]
    return _section("Still missing", lines)


def _draft(findings: Findings, link_to: LinkTo) -> str:
    if not findings.draft:
        return ""
    # Not a quote: in tools that show plain text its marks would have to be taken off each line before it is sent.
    text = f"**Draft reply** (nothing internal between the lines)\n\n---\n\n{findings.draft.strip()}\n\n---"
    if findings.draft_asks:
        sources = dict.fromkeys(link_lines(source, link_to) for source in findings.triage.diagnostics.sources)
        text += f"\n\nAsked for by {', '.join(sources)}" if sources else ""
    return text


def _checklist(checklist: Checklist | None, answer: Answer) -> str:
    if checklist is None:
        found = "no runbook fits" if answer.answered else "no article covers this alert"
        return f"**First 15 minutes**: {found}; go by your general incident procedure."
    lines = [f"**First 15 minutes**: [{escape(checklist.title)}](<{checklist.url}>) ({escape(checklist.reason)})", ""]
    lines += [_indent(step, "- [ ] ", "  ") for step in checklist.steps[:_MAX_STEPS]]
    return "\n".join(lines)


def _links(suggestions: Sequence[Suggestion], link_to: LinkTo) -> tuple[NoteLink, ...]:
    return tuple(
        NoteLink(
            suggestion.title, link_to(suggestion.snippets[0].citation), quote_lines(suggestion.snippets[0].citation)
        )
        for suggestion in suggestions
        if suggestion.snippets
    )


def _indent(text: str, first: str, rest: str) -> str:
    lines = text.splitlines() or [""]
    return "\n".join([first + lines[0], *(f"{rest}{line}".rstrip() for line in lines[1:])])


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", "", *lines]) if lines else ""


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
