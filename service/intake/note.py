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

from service.answers import Answer, Citation, Snippet, Suggestion
from service.connectors.contract import Event, EventKind, Note, NoteLink
from service.notes import LinkTo, escape, quote_lines
from service.notes import write_reply as quote_suggestion
from service.triage import Triage
from service.triage_similar import Duplicate, NamedTicket

Shows = Callable[[Snippet], bool]
"""Whether a snippet may be shown: for the public, one whose every link leads to a public article."""

MAX_ARTICLES = 3
_MAX_STEPS = 20
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
        draft: a reply that may be sent as it stands, made by `write_reply`; empty where none can be offered.
        checklist: for an alert.
    """

    answer: Answer
    triage: Triage
    draft: str = ""
    checklist: Checklist | None = None


def write_team_note(event: Event, findings: Findings, link_to: LinkTo) -> Note:
    """The internal note for a ticket or an alert."""
    answer, triage = findings.answer, findings.triage
    is_alert = event.kind is EventKind.ALERT
    sections = [
        _incident(triage),
        _checklist(findings.checklist, answer) if is_alert else "",
        _articles(answer, link_to),
        _known_errors(triage, link_to),
        _duplicates(triage),
        _labels(triage, event),
        _severity(triage),
        "" if is_alert else _missing(triage, link_to, is_draft=findings.draft == triage.diagnostics.message),
        "" if is_alert else _draft(findings.draft),
        f"Index {answer.index_version}",
    ]
    return Note(
        markdown="\n\n".join(section for section in sections if section) + "\n",
        summary=_summary(answer),
        links=_links(answer.suggestions[:MAX_ARTICLES], link_to),
        answered=answer.answered,
        tags=tuple(label.value for label in triage.tags),
    )


def write_reply(answer: Answer, link_to: LinkTo, shows: Shows, *, is_public: bool = True) -> Note | None:
    """The reply to a customer: the trusted article, quoted; None where no article is trusted.

    Args:
        answer: from the public articles alone.
        is_public: False for a place that the public can read and a vendor that keeps no replies apart.
    """
    if not (answer.answered and answer.suggestions):
        return None
    best = answer.suggestions[0]
    lines = ["Hello,", "", "this article describes what you report and what to do about it:", ""]
    lines += [_public_article(best, link_to, shows), "", "If it does not help, reply here and we will look into it."]
    return Note("\n".join(lines) + "\n", best.title, _links([best], link_to), public=is_public)


def write_chat_answer(answer: Answer, link_to: LinkTo, shows: Shows, *, is_public: bool) -> Note:
    """The answer to somebody who asked; an honest none where no article is trusted.

    Args:
        answer: from the articles that those who read the place may see.
    """
    if not (answer.answered and answer.suggestions):
        text = "No article covers this. Please describe the symptom with its exact error text, or ask a person."
        return Note(text + "\n", "No article covers this", answered=False, public=is_public)
    best = answer.suggestions[:MAX_ARTICLES]
    parts = [_public_article(best[0], link_to, shows)]
    if others := _links(best[1:], link_to):
        parts.append("Also:\n" + "\n".join(f"- [{escape(link.title)}](<{link.url}>)" for link in others))
    return Note("\n\n".join(parts) + "\n", best[0].title, _links(best, link_to), public=is_public)


def _summary(answer: Answer) -> str:
    if not answer.answered:
        return "No article covers this"
    return f"{answer.suggestions[0].title} ({answer.confidence:.0%} sure)"


def _articles(answer: Answer, link_to: LinkTo) -> str:
    sure = f"{answer.confidence:.0%} sure"
    if answer.answered:
        lines = [f"**Suggested articles** ({sure})"]
    elif answer.suggestions:
        lines = [f"**No article covers this** ({sure}, {answer.threshold:.0%} needed). What came nearest:"]
    else:
        return f"**No article covers this** ({sure})."
    for rank, suggestion in enumerate(answer.suggestions[:MAX_ARTICLES], start=1):
        badge = ", an internal article" if suggestion.audience == "internal" else ""
        quoted = _article(suggestion, suggestion.snippets[:1], link_to)
        lines += ["", _indent(quoted, f"{rank}. ", "   ")]
        if why := "; ".join(reason.detail for reason in suggestion.reasons[:2]):
            lines += ["", f"   Why{badge}: {escape(why)}"]
    return "\n".join(lines)


def _public_article(suggestion: Suggestion, link_to: LinkTo, shows: Shows) -> str:
    """Title, summary and quoted lines, or a link to them; no score, reason, count or audience."""
    shown = tuple(snippet for snippet in suggestion.snippets if shows(snippet))[:2]
    text = _article(suggestion, shown, link_to)
    links = [] if shown else [f"[{escape(link.title)}](<{link.url}>)" for link in _links([suggestion], link_to)]
    return "\n\n".join([text, *links])


def _article(suggestion: Suggestion, snippets: Sequence[Snippet], link_to: LinkTo) -> str:
    return quote_suggestion(dataclasses.replace(suggestion, snippets=tuple(snippets)), link_to).rstrip("\n")


def _known_errors(triage: Triage, link_to: LinkTo) -> str:
    lines = [
        f"- {escape(error.title)}: {escape(error.reason)} ({_cited(error.citation, link_to)})"
        for error in triage.known_errors
    ]
    return _section("Known errors with this very signature", lines)


def _duplicates(triage: Triage) -> str:
    lines = []
    for ticket in triage.duplicates:
        title = f" {escape(ticket.title)}" if ticket.title not in {"", ticket.name} else ""
        lines.append(f"- {_ticket(ticket)}{title}, {_time(ticket.created_s)}: {escape(ticket.reason)}")
    return _section("Likely the same as", lines)


def _incident(triage: Triage) -> str:
    if triage.incident is None:
        return ""
    names = ", ".join(_ticket(ticket) for ticket in triage.incident.tickets[:10])
    return f"**Possible incident**: {escape(triage.incident.reason)}. The others: {names}"


def _ticket(ticket: Duplicate | NamedTicket) -> str:
    """What people call it, as a link where an address is known."""
    name = escape(ticket.name)
    return f"[{name}](<{ticket.url}>)" if _WEB_ADDRESS.fullmatch(ticket.url) else name


def _labels(triage: Triage, event: Event) -> str:
    held = {str(tag).casefold() for tag in event.fields.get("tags", ())}
    rows = (("Component", triage.components[:2]), ("Product", triage.products[:2]), ("Tags", triage.tags))
    lines = []
    for name, labels in rows:
        fresh = [label for label in labels if name != "Tags" or label.value.casefold() not in held]
        by_reason: dict[str, list[str]] = {}
        for label in fresh:
            by_reason.setdefault(label.reason, []).append(f"`{label.value}`")
        if by_reason:
            told = (f"{', '.join(values)} ({escape(reason)})" for reason, values in by_reason.items())
            lines.append(f"- {name}: {'; '.join(told)}")
    return _section("Suggested fields", lines)


def _severity(triage: Triage) -> str:
    hint = triage.severity
    return f"**Severity hint: {hint.severity.value}.** {escape(hint.reason)}" if hint else ""


def _missing(triage: Triage, link_to: LinkTo, *, is_draft: bool) -> str:
    """What to find out, and the message that asks for it unless that is the draft itself."""
    lines = []
    for item in triage.diagnostics.missing:
        who = "" if item.by_customer else ", for us to look up"
        lines.append(f"- {escape(item.text)} ({_cited(item.citation, link_to)}{who})")
    section = _section("Still missing", lines)
    if section and triage.diagnostics.message and not is_draft:
        section += f"\n\nTo ask the customer:\n\n{_block_quote(triage.diagnostics.message)}"
    return section


def _draft(draft: str) -> str:
    return f"**Draft reply** (nothing internal in it)\n\n{_block_quote(draft)}" if draft else ""


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


def _cited(citation: Citation, link_to: LinkTo) -> str:
    return f"[{escape(quote_lines(citation))}](<{link_to(citation)}>)"


def _block_quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip("\r\n").splitlines())


def _indent(text: str, first: str, rest: str) -> str:
    lines = text.splitlines() or [""]
    return "\n".join([first + lines[0], *(f"{rest}{line}".rstrip() for line in lines[1:])])


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", "", *lines]) if lines else ""


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
