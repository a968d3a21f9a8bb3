from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.analysis import analyze
from indexer.articles import Article, parse_article
from indexer.chunking import ChunkLimits, chunk_article
from indexer.errors import ArticleError
from service.answers import Snippet
from service.excerpts import MAX_SNIPPET_CHARS, MAX_WITH_CODE_CHARS, Excerpts, cut_excerpts
from service.sections import SectionRole, role_of
from service.snippets import choose_snippets
from tests.conftest import FakeEmbedder

KNOWN_ERROR = """# Exports stop after a minute

## Symptoms

The export of a large table stops after one minute with an error.

## Cause

The proxy closes any request that takes longer than sixty seconds.

## Resolution

1. Ask for the export as a background job.
2. Fetch the finished file with `GET /exports/{id}`.

## Related

- Exports that stop after a minute are also in the release notes.
"""


def _excerpts(markdown: str) -> Excerpts:
    article = parse_article("a/b.md", markdown.encode())
    chunks = chunk_article(article, ChunkLimits(), FakeEmbedder().count_tokens)
    return cut_excerpts(article, [(chunk.section, chunk.span) for chunk in chunks])


def _choose(excerpts: Excerpts, question: str, limit: int = 3) -> tuple[Snippet, ...]:
    closeness = np.zeros(int(excerpts.windows.last_chunk.max(initial=0)) + 1, np.float32)
    return choose_snippets(excerpts, closeness, dict.fromkeys(analyze(question), 1.0), limit)


def _check(article: Article, snippet: Snippet) -> None:
    data = article.source.data[snippet.citation.start_byte : snippet.citation.end_byte]
    assert data.decode() == snippet.text
    assert hashlib.sha256(data).hexdigest() == snippet.citation.sha256
    assert len(snippet.text) <= MAX_WITH_CODE_CHARS
    if len(snippet.text) > MAX_SNIPPET_CHARS:
        blocks = [block for section in article.sections for block in section.blocks]
        ends = {block.end for block in blocks if block.kind in ("fence", "code_block", "table")}
        assert article.source.offset_of_byte(snippet.citation.start_byte) + len(snippet.text) in ends


def test_a_listing_that_a_snippet_has_begun_is_quoted_to_its_end() -> None:
    lines = "\n".join(f"kubectl describe pod worker-{number} --namespace exports" for number in range(10))
    excerpts = _excerpts(
        f"# Killed\n\n## Resolution\n\nRead what the limit is:\n\n```bash\n{lines}\n```\n\nThen raise it.\n"
    )
    first, *_ = _choose(excerpts, "what is the limit")
    _check(excerpts.article, first)
    assert first.text.startswith("Read what")
    assert first.text.endswith("worker-9 --namespace exports\n```")
    longer = _excerpts(f"# Killed\n\n## Resolution\n\nRead the limit:\n\n```bash\n{lines}\n{lines}\n```\n")
    first, *_ = _choose(longer, "limit")
    assert MAX_SNIPPET_CHARS / 2 < len(first.text) <= MAX_SNIPPET_CHARS


def test_what_to_do_and_why_come_before_what_the_reader_sees_already() -> None:
    excerpts = _excerpts(KNOWN_ERROR)
    snippets = _choose(excerpts, "the export of a large table stops after one minute")
    assert [snippet.citation.heading_path[-1] for snippet in snippets] == ["Resolution", "Cause", "Symptoms"]
    assert snippets[0].text.startswith("1. Ask for the export")
    for snippet in snippets:
        _check(excerpts.article, snippet)


def test_the_telling_words_choose_among_sections_of_one_role() -> None:
    steps = "\n\n".join(
        f"## How to do part {part}\n\n{text}"
        for part, text in (("one", "Rotate the key. " * 30), ("two", "Open the firewall for port 8443."))
    )
    first, *_ = _choose(_excerpts(f"# Guide\n\n{steps}\n"), "which firewall port")
    assert first.text == "Open the firewall for port 8443."
    assert [first.text[a:b] for a, b in first.highlights] == ["firewall", "port"]


def test_words_without_spaces_between_them_choose_and_are_marked_whole() -> None:
    first, *_ = _choose(
        _excerpts("# 手册\n\n## 导出\n\n报表出现乱码。\n\n## 登录\n\n请重新上传单点登录证书。\n"), "单点登录"
    )
    assert first.text == "请重新上传单点登录证书。"
    assert [first.text[a:b] for a, b in first.highlights] == ["单点登录"]


def test_snippets_do_not_overlap_and_stay_in_their_section() -> None:
    excerpts = _excerpts("# Long\n\n" + "\n\n".join(f"## Part {n}\n\n" + "Word again. " * 60 for n in range(3)))
    snippets = _choose(excerpts, "word", limit=6)
    spans = sorted((snippet.citation.start_byte, snippet.citation.end_byte) for snippet in snippets)
    assert len(spans) == 6
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_the_rest_of_a_quoted_section_is_not_quoted_for_its_own_sake() -> None:
    steps = "1. Raise the memory limit. " + "Then wait and look again. " * 14 + "\n2. Files there count too.\n"
    excerpts = _excerpts(f"# Killed\n\n## Resolution\n\n{steps}\n## Cause\n\nThe kernel ended it.\n")
    snippets = _choose(excerpts, "memory limit")
    assert [snippet.citation.heading_path[-1] for snippet in snippets] == ["Resolution", "Cause"]


def test_a_line_too_long_for_a_snippet_is_cut_at_white_space() -> None:
    excerpts = _excerpts("# Log\n\n```text\n" + "token " * 400 + "\n```\n")
    (first, *_) = _choose(excerpts, "token")
    _check(excerpts.article, first)
    assert first.text.endswith("token")


def test_a_question_without_known_words_still_gets_the_resolution() -> None:
    assert _choose(_excerpts(KNOWN_ERROR), "")[0].citation.heading_path[-1] == "Resolution"


@given(st.text(max_size=900), st.text(max_size=80))
def test_every_snippet_of_any_text_can_be_checked(body: str, question: str) -> None:
    try:
        excerpts = _excerpts(f"# Title\n\n{body}")
    except ArticleError:
        return
    for snippet in _choose(excerpts, question + body[:40]):
        _check(excerpts.article, snippet)


def test_highlights_know_inflections() -> None:
    (first,) = _choose(
        _excerpts("# Pool\n\nConnections refused; the connection's pool isn't open.\n"), "connection refuse"
    )
    assert [first.text[a:b] for a, b in first.highlights] == ["Connections", "refused", "connection's"]


def test_a_snippet_is_the_same_however_often_it_is_cited() -> None:
    excerpts = _excerpts(KNOWN_ERROR)
    assert _choose(excerpts, "export")[0].citation == _choose(excerpts, "background job")[0].citation


@pytest.mark.parametrize(
    ("heading", "role"),
    [
        ("Resolution", SectionRole.ACTION),
        ("First 15 minutes", SectionRole.ACTION),
        ("How do I export?", SectionRole.ACTION),
        ("Cause", SectionRole.REASON),
        ("Verification", SectionRole.CHECK),
        ("Symptoms", SectionRole.SIGHT),
        ("Related", SectionRole.REFERENCE),
        ("Filters", SectionRole.OTHER),
    ],
)
def test_roles(heading: str, role: SectionRole) -> None:
    assert role_of(("Title", heading)) is role
    assert role_of(("Title", heading, "Cause of all")) is role
    assert role_of(("How to fix a title",)) is SectionRole.OTHER


def test_offsets_of_bytes(tmp_path: Path) -> None:
    source = parse_article("x.md", "# Ä\r\n\r\nÖl läuft\r\n".encode()).source
    for offset in range(len(source.text)):
        assert source.offset_of_byte(source.byte_of(offset)) == offset


def _bytes_of(excerpts: Excerpts) -> int:
    parts = [*(getattr(excerpts.words, name) for name in ("starts", "ends", "terms", "by_term", "bounds"))]
    parts += [getattr(excerpts.windows, name) for name in ("starts", "ends", "since", "plain", "first_chunk")]
    return sum(memoryview(part).nbytes for part in parts)


def test_memory_grows_with_the_article_and_no_faster() -> None:
    def cut(items: int) -> Excerpts:
        lines = "\n".join(f"- Step {number}: restart worker w{number} and look." for number in range(items))
        return _excerpts(f"# Steps\n\n## Resolution\n\n{lines}\n")

    small, large = cut(200), cut(2000)
    assert _bytes_of(large) < 11 * _bytes_of(small)
    assert "worker w1777 " in _choose(large, "w1777")[0].text
