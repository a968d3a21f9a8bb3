"""What the console shows of an answer: chips, bars and snippets. Pure but for looking up what is code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from indexer.errors import NotFound
from indexer.scope import Scope
from service.answers import Citation, Reason, Snippet, Suggestion
from service.http.links import article_url, citation_url, lead_out
from service.notes import quote_lines, write_reply
from service.rendering import LinkFor

if TYPE_CHECKING:
    from service.assistant import Assistant

SIGNALS = {
    "signature": ("d", ""),
    "tickets": ("e", ""),
    "opening": ("b", "Title fits"),
    "words": ("c", "Telling words"),
    "passages": ("a", "Same meaning"),
    "gist": ("a", "Same meaning"),
}
"""Tone and label of each signal; signals of one tone are shown as one. Without a label the reason's own words stand."""

_TONES_FIRST = "de"
"""Exact errors and similar tickets convince more than likeness, so they are named before it."""

_UNKNOWN_TONE = "x"
_MAX_CODES = 3
_MAX_CODE_CHARS = 48
_CODE_KINDS = {
    "error code": "Error",
    "declared error": "Error",
    "exception": "Exception",
    "identifier": "Names",
    "status": "",
    "log line": "Log",
}
_CODE = re.compile(rf"({'|'.join(_CODE_KINDS)}): (.+?)(?=, (?:{'|'.join(_CODE_KINDS)}): |$)")

CodeLines = Callable[[Citation], frozenset[int]]
"""The cited lines that lie in code blocks, their fences included."""

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_INDENT = re.compile(r"^[ \t]*(?=[^\s])", re.MULTILINE)
_FENCE_LINE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})[^\n`]*\n?", re.MULTILINE)
_SOFT_BREAK = re.compile(r"(?<!\n)\n(?!\n|[ \t]*\||[ \t]*(?:[-*+]|\d+[.)])[ \t])")
_MARKUP = re.compile(
    r"\*\*|`+|^[ \t]*(?:>|[-*+](?=[ \t]))[ \t]?|^#{1,6}[ \t]+|\[(?=[^\]\n]*\]\()|\]\([^)\n]*\)", re.MULTILINE
)
_EMPHASIS = re.compile(r"(?<![\w*])\*(?=[^\s*])[^*\n]*(?:\n[^*\n]+)?(?<!\s)\*(?![\w*])")
_TABLE_EDGE = re.compile(r"^[ \t]*\|[ \t]*(?:[ \t:|-]*-{3}[ \t:|-]*(?:\n|\Z))?|[ \t]*\|[ \t]*$", re.MULTILINE)
_TABLE_CELL = re.compile(r"(?<=[ \t])\|(?=[ \t])")
_TABLE = re.compile(r"^[ \t]*\|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PartView:
    """Prose or code of a snippet: its text in pieces, each with whether it is highlighted."""

    pieces: tuple[tuple[str, bool], ...]
    is_code: bool


@dataclass(frozen=True, slots=True)
class SnippetView:
    """A snippet to show."""

    parts: tuple[PartView, ...]
    where: str
    section: str
    url: str


@dataclass(frozen=True, slots=True)
class BarView:
    """One tone's piece of a score bar, in percent of the whole bar."""

    tone: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class ChipView:
    """Why an article matched: a few words, and the longer reason behind them."""

    tone: str
    label: str
    detail: str


@dataclass(frozen=True, slots=True)
class RepeatView:
    """That an article nearly repeats one ranked above it."""

    rank: int
    title: str
    percent: int


@dataclass(frozen=True, slots=True)
class ResultView:
    """One suggestion to show; `percent` is its score as a share of the best one's."""

    suggestion: Suggestion
    rank: int
    url: str
    percent: int
    bars: tuple[BarView, ...]
    chips: tuple[ChipView, ...]
    snippets: tuple[SnippetView, ...]
    reply: str
    repeat: RepeatView | None = None


def result_views(
    suggestions: Sequence[tuple[int, Suggestion]],
    best: float,
    base_url: str,
    code_lines: CodeLines,
    repeats: dict[int, RepeatView],
    link_for: LinkFor,
) -> list[ResultView]:
    """Suggestions with their ranks, as they are shown.

    Args:
        best: the highest score of the answer, against which bars are measured.
        repeats: by rank.
        link_for: whole addresses of articles, for what is copied.
    """

    def write(suggestion: Suggestion) -> str:
        return write_reply(lead_out(suggestion, link_for), lambda citation: base_url + citation_url(citation))

    return [_result(rank, item, best or 1.0, write(item), code_lines, repeats.get(rank)) for rank, item in suggestions]


def code_finder(assistant: Assistant, scope: Scope) -> CodeLines:
    """Looks citations up in the articles that they cite."""

    def code_lines(citation: Citation) -> frozenset[int]:
        try:
            article = assistant.article(citation.path, scope)
        except NotFound:
            return frozenset()
        line_of = article.source.line_of
        cited = range(citation.start_line, citation.end_line + 1)
        return frozenset(
            line
            for section in article.sections
            for block in section.blocks
            if block.kind in {"fence", "code_block"}
            for line in range(line_of(block.start), line_of(max(block.start, block.end - 1)) + 1)
            if line in cited
        )

    return code_lines


def chip_views(reasons: Iterable[Reason]) -> tuple[ChipView, ...]:
    """One chip for each exact error, then one for each other kind of reason, the strongest first."""
    chips: dict[str, list[ChipView]] = {}
    weights: dict[str, float] = {}
    for reason in reasons:
        tone, label = SIGNALS.get(reason.signal, (_UNKNOWN_TONE, ""))
        weights[tone] = weights.get(tone, 0.0) + reason.contribution
        if tone == "d":
            chips.setdefault(tone, []).extend(_code_chips(reason.detail))
        elif label and tone in chips:
            said = chips[tone][0].detail
            chips[tone] = [ChipView(tone, label, f"{said}; {reason.detail}")]
        else:
            chips.setdefault(tone, []).append(ChipView(tone, label or _capitalised(reason.detail), reason.detail))
    first = [tone for tone in _TONES_FIRST if tone in chips]
    order = [*first, *sorted(chips.keys() - set(first), key=lambda tone: -weights[tone])]
    return tuple(chip for tone in order for chip in chips[tone])


def code_label(kind: str, value: str) -> str:
    """An error signature for a person: `Error invalid_token`, `HTTP 401`."""
    value = value.removeprefix("http ") if kind == "status" else value
    named = "HTTP" if kind == "status" and value.isdigit() else _CODE_KINDS[kind]
    return _clipped(f"{named} {value}".strip())


def split_codes(detail: str) -> list[tuple[str, str]]:
    """`error code: x, status: http 401` as pairs of kind and value; empty if it is written otherwise."""
    return [(match[1], match[2]) for match in _CODE.finditer(detail)]


def _code_chips(detail: str) -> list[ChipView]:
    codes = split_codes(detail)
    chips = [ChipView("d", code_label(kind, value), f"the same {kind}: {value}") for kind, value in codes[:_MAX_CODES]]
    if len(codes) > _MAX_CODES:
        rest = codes[_MAX_CODES:]
        chips.append(ChipView("d", f"{len(rest)} more", ", ".join(value for _, value in rest)))
    return chips or [ChipView("d", _clipped(_capitalised(detail)), detail)]


def _result(
    rank: int, suggestion: Suggestion, best: float, reply: str, code_lines: CodeLines, repeat: RepeatView | None
) -> ResultView:
    share = max(0.0, min(1.0, suggestion.score / best))
    first = suggestion.snippets[0].citation if suggestion.snippets else None
    return ResultView(
        suggestion=suggestion,
        rank=rank,
        url=citation_url(first) if first else article_url(suggestion.path),
        percent=round(100 * share),
        bars=_bars(suggestion.reasons, share),
        chips=chip_views(suggestion.reasons),
        snippets=tuple(_snippet(snippet, code_lines(snippet.citation)) for snippet in suggestion.snippets),
        reply=reply,
        repeat=repeat,
    )


def _bars(reasons: tuple[Reason, ...], share: float) -> tuple[BarView, ...]:
    parts: dict[str, float] = {}
    for reason in reasons:
        tone = SIGNALS.get(reason.signal, (_UNKNOWN_TONE, ""))[0]
        parts[tone] = parts.get(tone, 0.0) + max(0.0, reason.contribution)
    total = sum(parts.values()) or 1.0
    bars: list[BarView] = []
    start = 0.0
    for tone, part in sorted(parts.items(), key=lambda item: -item[1]):
        width = 100 * share * part / total
        bars.append(BarView(tone, round(start, 2), round(width, 2)))
        start += width
    return tuple(bars)


def _snippet(snippet: Snippet, code_lines: frozenset[int]) -> SnippetView:
    return SnippetView(
        parts=tuple(_parts(snippet, code_lines)),
        where=quote_lines(snippet.citation),
        section=" › ".join(snippet.citation.heading_path[1:]) or "Introduction",
        url=citation_url(snippet.citation),
    )


def _parts(snippet: Snippet, code_lines: frozenset[int]) -> Iterator[PartView]:
    """The snippet for reading: prose and code apart, one-character highlights left out."""
    marked = {place for start, end in snippet.highlights if end - start > 1 for place in range(start, end)}
    lines = enumerate(_LINE.finditer(snippet.text), start=snippet.citation.start_line)
    for is_code, run in groupby(lines, lambda line: line[0] in code_lines):
        spans = [match.span() for _, match in run]
        run_text = snippet.text[spans[0][0] : spans[-1][1]].rstrip()
        text = run_text.lstrip("\r\n")
        start = spans[0][0] + len(run_text) - len(text)
        hidden, shown_as = _code_reading(text) if is_code else _prose_reading(text)
        shown = [
            (shown_as.get(place, character), start + place in marked)
            for place, character in enumerate(text)
            if place not in hidden
        ]
        pieces = tuple(
            ("".join(character for character, _ in same), is_marked)
            for is_marked, same in groupby(shown, lambda item: item[1])
        )
        if any(piece.strip() for piece, _ in pieces):
            yield PartView(pieces, is_code)


def _code_reading(text: str) -> tuple[set[int], dict[int, str]]:
    """What to leave out of code, and what to show otherwise: fences go, and the indent that all lines share."""
    hidden = _positions(_FENCE_LINE, text)
    indents = [match for match in _INDENT.finditer(text) if match.start() not in hidden]
    shared = min((len(match.group()) for match in indents), default=0)
    hidden |= {place for match in indents for place in range(match.start(), match.start() + shared)}
    return hidden, {}


def _prose_reading(text: str) -> tuple[set[int], dict[int, str]]:
    """The same of prose: markup goes, soft line breaks become spaces, table cells are parted by a dot."""
    hidden = _positions(_MARKUP, text)
    hidden |= {place for match in _EMPHASIS.finditer(text) for place in (match.start(), match.end() - 1)}
    shown_as = dict.fromkeys(_positions(_SOFT_BREAK, text), " ")
    if _TABLE.search(text):
        hidden |= _positions(_TABLE_EDGE, text)
        shown_as |= dict.fromkeys(_positions(_TABLE_CELL, text), "·")
    return hidden, shown_as


def _positions(pattern: re.Pattern[str], text: str) -> set[int]:
    return {position for match in pattern.finditer(text) for position in range(*match.span())}


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_CODE_CHARS else f"{text[: _MAX_CODE_CHARS - 1].rstrip()}…"
