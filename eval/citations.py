"""Whether citations are true: every one is checked against the article's file as it lies on disk now.

Nothing here uses the index or the code that made the citation, so a mistake there cannot vouch for itself.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.datasets import AnswerLines
from service.answers import Answer, Citation, Snippet

_LINE_END = re.compile(rb"\r\n|\r|\n")
"""Where CommonMark ends a line."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One article as it is on disk: its bytes, their SHA-256, and where each line starts."""

    data: bytes
    sha256: str
    line_starts: tuple[int, ...]

    def line_of(self, byte: int) -> int:
        """1-based line that holds the byte at this offset."""
        return bisect_right(self.line_starts, byte)


class CitationChecker:
    """Checks citations against the files below one folder. A file is read once, when it is first cited."""

    def __init__(self, articles_dir: Path) -> None:
        self._articles_dir = articles_dir
        self._files: dict[str, SourceFile | None] = {}

    def failure(self, snippet: Snippet) -> str | None:
        """Why the snippet's citation does not hold, for a person; None if it does."""
        citation = snippet.citation
        source = self._source(citation.path)
        if source is None:
            return f"{citation.path} cannot be read"
        if source.sha256 != citation.article_version:
            return f"{citation.path} is not the cited version; it was changed since it was indexed"
        if not 0 <= citation.start_byte < citation.end_byte <= len(source.data):
            return f"{_place(citation)} is outside the file ({len(source.data)} bytes)"
        span = source.data[citation.start_byte : citation.end_byte]
        if hashlib.sha256(span).hexdigest() != citation.sha256:
            return f"{_place(citation)} has other bytes than were cited"
        if span != snippet.text.encode():
            return f"{_place(citation)} does not read as the snippet does"
        lines = (source.line_of(citation.start_byte), source.line_of(citation.end_byte - 1))
        if lines != (citation.start_line, citation.end_line):
            return (
                f"{_place(citation)} is on lines {lines[0]} to {lines[1]}, "
                f"cited as {citation.start_line} to {citation.end_line}"
            )
        return None

    def _source(self, path: str) -> SourceFile | None:
        if path not in self._files:
            self._files[path] = read_source(self._articles_dir / path)
        return self._files[path]


def read_source(file: Path) -> SourceFile | None:
    """The file as it is now; None if it cannot be read."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    starts = (0, *(match.end() for match in _LINE_END.finditer(data)))
    return SourceFile(data, hashlib.sha256(data).hexdigest(), starts)


@dataclass(frozen=True, slots=True)
class SnippetJudgement:
    """How the snippets of one article fared for one ticket whose answering lines a person marked.

    Attributes:
        rank: 1-based rank of the article; None if it was not suggested, so no snippet could be judged.
        first_overlaps: the first snippet shares a line with the marked ones.
        any_overlaps: one of the shown snippets does.
    """

    query_id: str
    article: str
    rank: int | None
    first_overlaps: bool
    any_overlaps: bool


def judge_snippets(query_id: str, answer: Answer, marked: Sequence[AnswerLines]) -> list[SnippetJudgement]:
    """One judgement for each article with marked lines; several ranges of one article are alternatives."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for lines in marked:
        if lines.query_id == query_id:
            ranges.setdefault(lines.article, []).append((lines.start_line, lines.end_line))
    ranks = {suggestion.path: rank for rank, suggestion in enumerate(answer.suggestions, start=1)}
    judgements = []
    for article, spans in ranges.items():
        rank = ranks.get(article)
        snippets = answer.suggestions[rank - 1].snippets if rank else ()
        overlaps = [any(_overlap(snippet.citation, span) for span in spans) for snippet in snippets]
        judgements.append(SnippetJudgement(query_id, article, rank, overlaps[:1] == [True], any(overlaps)))
    return judgements


def _overlap(citation: Citation, span: tuple[int, int]) -> bool:
    return citation.start_line <= span[1] and span[0] <= citation.end_line


def _place(citation: Citation) -> str:
    return f"{citation.path} bytes {citation.start_byte} to {citation.end_byte}"
