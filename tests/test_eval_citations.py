"""Citations are checked against the files on disk, each part of them by itself."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.citations import CitationChecker, judge_snippets
from eval.datasets import AnswerLines
from service.answers import Answer, Citation, Snippet, Suggestion

TEXT = "# Títle\r\n\r\nFirst line.\nSecond line.\n"


def snippet(data: bytes, start: int, end: int, first: int, last: int, **changes: Any) -> Snippet:
    citation = Citation(
        path="a/b.md",
        heading_path=("T",),
        anchor="",
        start_line=first,
        end_line=last,
        start_byte=start,
        end_byte=end,
        sha256=hashlib.sha256(data[start:end]).hexdigest(),
        article_version=hashlib.sha256(data).hexdigest(),
    )
    return Snippet(data[start:end].decode(), (), replace(citation, **changes))


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b.md").write_bytes(TEXT.encode())
    return tmp_path


def _good(**changes: Any) -> Snippet:
    data = TEXT.encode()
    start = data.index(b"First")
    return snippet(data, start, start + len(b"First line.\nSecond"), 3, 4, **changes)


def test_true_citation(articles: Path) -> None:
    assert CitationChecker(articles).failure(_good()) is None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (_good(start_line=2), "is on lines 3 to 4, cited as 2 to 4"),
        (_good(end_line=5), "is on lines 3 to 4, cited as 3 to 5"),
        (_good(start_byte=13), "has other bytes"),
        (_good(end_byte=900), "is outside the file"),
        (_good(sha256="0" * 64), "has other bytes"),
        (_good(article_version="0" * 64), "is not the cited version"),
        (_good(path="a/gone.md"), "a/gone.md cannot be read"),
        (replace(_good(), text="First line. Second"), "does not read as the snippet does"),
    ],
)
def test_false_citation(articles: Path, bad: Snippet, reason: str) -> None:
    assert reason in (CitationChecker(articles).failure(bad) or "")


def test_file_that_changed_since(articles: Path) -> None:
    (articles / "a/b.md").write_bytes(TEXT.encode() + b"More.\n")
    assert "was changed since it was indexed" in (CitationChecker(articles).failure(_good()) or "")


def _answer(*suggestions: tuple[str, list[Snippet]]) -> Answer:
    return Answer(
        answered=True,
        confidence=0.9,
        threshold=0.5,
        suggestions=tuple(
            Suggestion(path, path, path, "", "public", None, None, (), 1.0, (), tuple(snippets))
            for path, snippets in suggestions
        ),
        signatures=(),
        clarification=None,
        index_version="v",
        took_ms=1.0,
        corrections=(),
    )


def test_snippets_that_hold_the_marked_lines() -> None:
    first = snippet(b"x" * 9, 0, 5, 1, 4)
    second = snippet(b"x" * 9, 5, 9, 10, 12)
    answer = _answer(("other.md", []), ("a.md", [first, second]))
    marked = [AnswerLines("q", "a.md", 12, 20), AnswerLines("q", "gone.md", 1, 1), AnswerLines("p", "a.md", 1, 1)]
    found = {judgement.article: judgement for judgement in judge_snippets("q", answer, marked)}
    assert set(found) == {"a.md", "gone.md"}
    assert (found["a.md"].rank, found["a.md"].first_overlaps, found["a.md"].any_overlaps) == (2, False, True)
    assert (found["gone.md"].rank, found["gone.md"].any_overlaps) == (None, False)


def test_ranges_of_one_article_are_alternatives() -> None:
    answer = _answer(("a.md", [snippet(b"x" * 9, 0, 5, 5, 6)]))
    marked = [AnswerLines("q", "a.md", 1, 2), AnswerLines("q", "a.md", 6, 9)]
    (judgement,) = judge_snippets("q", answer, marked)
    assert judgement.first_overlaps
    assert judgement.any_overlaps
    (missed,) = judge_snippets("q", answer, marked[:1])
    assert not missed.any_overlaps
