"""Lint rules on one article's body: its headings, required sections, lists and fences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it.token import Token

from indexer.articles import plain_text
from indexer.linting import Draft, Finding, Severity
from indexer.metadata import ArticleType

LONG_SECTION_WORDS = 250

FIRST_STEPS, EVIDENCE, ESCALATION = "First 15 minutes", "Evidence to collect", "Escalation"
_CLOSING = ("Warnings", "Related")

REQUIRED_SECTIONS: dict[ArticleType, tuple[tuple[str, ...], ...]] = {
    ArticleType.KNOWN_ERROR: (
        ("Symptoms",), ("Environment",), ("Cause",), ("Resolution", "Workaround"), ("Verification",),
    ),
    ArticleType.TROUBLESHOOTING: (
        ("Symptoms",), ("Environment",), ("Diagnosis",), ("Resolution",), ("Verification",),
    ),
    ArticleType.HOW_TO: (("Goal",), ("Prerequisites",), ("Steps",), ("Verification",)),
    ArticleType.FAQ: (),
    ArticleType.RUNBOOK: (
        ("Trigger",), (FIRST_STEPS,), ("Diagnosis",), ("Mitigation",), ("Verification",), (ESCALATION,),
    ),
    ArticleType.TRIAGE: (("Trigger",), (FIRST_STEPS,), (EVIDENCE,), (ESCALATION,)),
    ArticleType.INCIDENT: (
        ("Trigger",), (FIRST_STEPS,), ("Mitigation",), ("Communication",), ("Verification",), (ESCALATION,),
    ),
    ArticleType.COMMUNICATION: (("When to send",), ("Template",), ("Do not say",)),
}  # fmt: skip
"""By type, the `## ` sections in their order; each entry lists the names that will do."""

_EVIDENCE_UNDER_ESCALATION = frozenset({ArticleType.RUNBOOK, ArticleType.INCIDENT})


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading. Its tokens, `first` up to `last`, reach to the next heading of the same or a higher level."""

    level: int
    name: str
    line: int
    first: int
    last: int


def check_body(draft: Draft) -> Iterator[Finding]:
    """All rules of this module."""
    headings = find_headings(draft.tokens)
    yield from _check_title(draft, headings)
    sections = [heading for heading in headings if heading.level == 2]
    if draft.type is ArticleType.FAQ:
        yield from _check_questions(draft, sections)
    elif draft.type is not None:
        yield from _check_order(draft, sections, REQUIRED_SECTIONS[draft.type])
        yield from _check_filled(draft, sections, REQUIRED_SECTIONS[draft.type])
    yield from _check_lists(draft, headings)
    yield from _check_fences(draft)
    yield from _check_length(draft)


def find_headings(tokens: list[Token]) -> list[Heading]:
    """All headings in order, with the tokens that belong to each."""
    found: list[tuple[int, int, str, int]] = [
        (position, int(token.tag[1]), plain_text(tokens[position + 1].content), token.map[0] + 1)
        for position, token in enumerate(tokens)
        if token.type == "heading_open" and token.map
    ]
    headings = []
    for number, (position, level, name, line) in enumerate(found):
        after = (item[0] for item in found[number + 1 :] if item[1] <= level)
        headings.append(Heading(level, name, line, position + 3, next(after, len(tokens))))
    return headings


def _check_title(draft: Draft, headings: list[Heading]) -> Iterator[Finding]:
    tops = [heading for heading in headings if heading.level == 1]
    if not tops:
        yield Finding(draft.path, 1, "title-heading", "there is no `# ` heading; repeat the title as one")
        return
    if headings[0].level != 1:
        yield Finding(draft.path, headings[0].line, "title-heading", "the `# ` heading does not come first")
    for heading in tops[1:]:
        yield Finding(draft.path, heading.line, "title-heading", f"a second `# ` heading, `{heading.name}`; use `## `")
    title = draft.article.meta.title
    if title is not None and tops[0].name != plain_text(title) and tops[0].name != title:
        message = f"the heading `{tops[0].name}` is not the title `{title}`"
        yield Finding(draft.path, tops[0].line, "title-heading", message)


def _check_questions(draft: Draft, sections: list[Heading]) -> Iterator[Finding]:
    questions = [heading for heading in sections if heading.name not in _CLOSING]
    if len(questions) < 2:
        yield Finding(draft.path, 1, "sections", "a faq needs two or more `## ` questions")
    for heading in questions:
        if not heading.name.endswith("?"):
            yield Finding(draft.path, heading.line, "sections", f"`## {heading.name}` is not a question ending in `?`")


def _check_order(draft: Draft, sections: list[Heading], required: tuple[tuple[str, ...], ...]) -> Iterator[Finding]:
    names = [heading.name for heading in sections]
    for choice in required:
        if not any(name in names for name in choice):
            wanted = " or ".join(f"`## {name}`" for name in choice)
            yield Finding(draft.path, 1, "sections", f"a {draft.type} article needs {wanted}")
    closing = tuple((name,) for name in _CLOSING)
    rank = {name: number for number, choice in enumerate((*required, *closing)) for name in choice}
    seen: set[str] = set()
    highest: Heading | None = None
    for heading in sections:
        if heading.name not in rank:
            continue
        if heading.name in seen:
            yield Finding(draft.path, heading.line, "sections", f"`## {heading.name}` stands here a second time")
        seen.add(heading.name)
        if highest and rank[heading.name] < rank[highest.name]:
            message = f"`## {heading.name}` belongs before `## {highest.name}` (line {highest.line})"
            yield Finding(draft.path, heading.line, "sections", message)
        else:
            highest = heading


def _check_filled(draft: Draft, sections: list[Heading], required: tuple[tuple[str, ...], ...]) -> Iterator[Finding]:
    names = {name for choice in required for name in choice}
    for heading in sections:
        if heading.name in names and not any(
            token.type in {"inline", "fence", "code_block"} and not _in_heading(draft.tokens, position)
            for position, token in _inside(draft, heading)
        ):
            yield Finding(draft.path, heading.line, "sections", f"`## {heading.name}` is empty")


def _check_lists(draft: Draft, headings: list[Heading]) -> Iterator[Finding]:
    if draft.type in _EVIDENCE_UNDER_ESCALATION and ESCALATION in {item.name for item in headings}:
        inside = [
            item
            for outer in headings
            if outer.name == ESCALATION and outer.level == 2
            for item in headings
            if item.name == EVIDENCE and item.level == 3 and outer.first <= item.first <= outer.last
        ]
        if not inside:
            line = next(item.line for item in headings if item.name == ESCALATION)
            yield Finding(draft.path, line, "sections", f"`## {ESCALATION}` needs a `### {EVIDENCE}` list")
    if draft.type is None:
        return
    for heading in headings:
        kind = {FIRST_STEPS: "ordered_list_open", EVIDENCE: "bullet_list_open"}.get(heading.name)
        if kind and not any(token.type == kind for _, token in _inside(draft, heading)):
            wanted = "numbered" if kind == "ordered_list_open" else "bullet"
            yield Finding(draft.path, heading.line, "list", f"`{heading.name}` has to be a {wanted} list")
        if heading.name == EVIDENCE:
            yield from _check_evidence(draft, heading)


def _check_evidence(draft: Draft, heading: Heading) -> Iterator[Finding]:
    for position, token in _inside(draft, heading):
        if token.type != "list_item_open" or token.level != 1 or token.markup not in {"-", "*", "+"} or not token.map:
            continue
        first = draft.tokens[position + 2] if position + 2 < len(draft.tokens) else None
        if first is None or not re.match(r"[^:]{2,120}:", first.content):
            message = "an item starts with the thing and a colon: `- Request id: the X-Request-ID response header`"
            yield Finding(draft.path, token.map[0] + 1, "list", message)


def _check_fences(draft: Draft) -> Iterator[Finding]:
    source = draft.article.source
    for token in draft.tokens:
        if token.type != "fence" or not token.map:
            continue
        line = token.map[0] + 1
        if not token.info.strip():
            message = "the fence names no language; a log or an error is `text`"
            yield Finding(draft.path, line, "fence-language", message)
        last = source.text[source.line_start(token.map[1]) : source.line_start(token.map[1] + 1)]
        if token.map[1] - token.map[0] < 2 or not last.strip(" \t\r\n>").startswith(token.markup):
            yield Finding(draft.path, line, "fence-open", "the fence is never closed")


def _check_length(draft: Draft) -> Iterator[Finding]:
    text = draft.article.source.text
    for section in draft.article.sections:
        words = sum(len(text[block.start : block.end].split()) for block in section.blocks)
        if words > LONG_SECTION_WORDS:
            message = f"`{section.heading_path[-1]}` has {words} words; split what goes past {LONG_SECTION_WORDS}"
            yield Finding(draft.path, section.span.start_line, "long-section", message, Severity.WARNING)


def _inside(draft: Draft, heading: Heading) -> list[tuple[int, Token]]:
    return list(enumerate(draft.tokens[heading.first : heading.last], start=heading.first))


def _in_heading(tokens: list[Token], position: int) -> bool:
    return tokens[position].type == "inline" and tokens[position - 1].type == "heading_open"
