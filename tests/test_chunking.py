from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.articles import Article, parse_article
from indexer.chunking import Chunk, ChunkLimits, Wording, chunk_article, heading_text, strip_markup
from indexer.embedding import Embedder
from indexer.errors import ArticleError
from tests.conftest import FakeEmbedder, words_in

COUNT = FakeEmbedder().count_tokens
SMALL = ChunkLimits(max_tokens=48, target_tokens=20)


def _chunks(text: str, limits: ChunkLimits = SMALL) -> tuple[Article, list[Chunk]]:
    article = parse_article("a.md", text.encode())
    return article, chunk_article(article, limits, COUNT)


def _sources(article: Article, chunks: list[Chunk]) -> list[str]:
    return [article.source.slice(chunk.span) for chunk in chunks]


def test_blocks_are_packed_up_to_the_target_and_no_further() -> None:
    article, chunks = _chunks("# T\n\n" + "\n\n".join(["one two three four five six seven eight"] * 5))
    assert [text.count("one") for text in _sources(article, chunks)] == [2, 2, 1]


def test_a_chunk_never_crosses_a_section() -> None:
    article, chunks = _chunks("# T\n\na\n\n## B\n\nb\n\n## C\n\nc\n")
    assert _sources(article, chunks) == ["a", "b", "c"]
    assert [chunk.section for chunk in chunks] == [0, 1, 2]
    assert chunks[1].embedding_text == "T > B\nb"


def test_a_fence_that_fits_stays_whole_past_the_target() -> None:
    fence = "```text\n" + "\n".join(f"line {number} of log" for number in range(7)) + "\n```"
    article, chunks = _chunks(f"# T\n\nBefore it.\n\n{fence}\n\nAfter it.\n")
    assert COUNT([fence])[0] > SMALL.target_tokens
    assert any(fence in text for text in _sources(article, chunks))


def test_a_fence_that_does_not_fit_is_cut_at_lines() -> None:
    lines = [f"line {number} of a long log" for number in range(40)]
    article, chunks = _chunks("# T\n\n```text\n" + "\n".join(lines) + "\n```\n")
    assert len(chunks) > 3
    found = [line for text in _sources(article, chunks) for line in text.splitlines() if line.startswith("line")]
    assert found == lines


def test_a_long_paragraph_is_cut_at_sentences() -> None:
    sentences = [f"Sentence number {number} has these eight words here." for number in range(20)]
    article, chunks = _chunks("# T\n\n" + " ".join(sentences))
    assert all(text.endswith(".") and text.startswith("Sentence") for text in _sources(article, chunks))
    assert " ".join(_sources(article, chunks)) == " ".join(sentences)


def test_link_definitions_between_blocks_count() -> None:
    definitions = "\n".join(f"[ref{number}]: https://example.com/{number} 'Title {number}'" for number in range(60))
    article, chunks = _chunks(f"# T\n\nBefore.\n\n{definitions}\n\nAfter.\n")
    assert max(COUNT([chunk.embedding_text for chunk in chunks])) <= SMALL.max_tokens
    assert "Before." in _sources(article, chunks)[0]


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("A [link](x.md#y) and ![image](z.png)", "A link and image"),
        ("**bold** and __strong__", "bold and strong"),
        ("```bash\nls -l\n```", "ls -l"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n\n| 1 | 2 |"),
        ("## Heading", "Heading"),
        ("snake__case_name", "snake__case_name"),
    ],
)
def test_strip_markup(markdown: str, words: str) -> None:
    assert re.sub(r"\n+", "\n", strip_markup(markdown)) == re.sub(r"\n+", "\n", words)


def test_a_line_that_only_begins_like_a_rule_is_read_in_moments() -> None:
    """With a pattern that can part the spaces in many ways this takes hours."""
    assert strip_markup(f"a\n{' ' * 30_000}b") == f"a\n{' ' * 30_000}b"


PIECES = st.lists(
    st.sampled_from(
        ["# Head\n\n", "## Teil Ü\n\n", "A sentence of words. ", "Ein Wort, 漢字漢字 und 🙂. ", "\n\n", "\r\n\r\n",
         "- item of list\n", "```text\nERROR 1 at x\nmore\n```\n\n", "x" * 90 + " ", "a.b-c_d/e=f;" * 12 + " ",
         "> quote\n", "- [Other](other.md)\n", "For more information, see [the other](o.md). ",
         "| a | b |\n|---|---|\n| 1 | 2 |\n\n", "**bold** ", "[r]: /u 't'\n\n", "한국어 문장입니다, ", "\u2028"]
    ),
    min_size=1,
    max_size=40,
).map("".join)  # fmt: skip


def _hold(text: str, limits: ChunkLimits, embedder: Embedder | FakeEmbedder) -> None:
    try:
        article = parse_article("a.md", text.encode())
    except ArticleError:
        return
    chunks = chunk_article(article, limits, embedder.count_tokens)
    assert chunks
    end = 0
    for chunk in chunks:
        section = article.sections[chunk.section]
        assert section.span.start_byte <= chunk.span.start_byte < chunk.span.end_byte <= section.span.end_byte
        assert chunk.span.start_byte >= end
        end = chunk.span.end_byte
        assert chunk.embedding_text == f"{heading_text(section.heading_path)}\n{words_in(article, chunk.span)}"
    assert max(embedder.count_tokens([chunk.embedding_text for chunk in chunks])) + 2 <= limits.max_tokens
    covered = {i for chunk in chunks for i in range(chunk.span.start_byte, chunk.span.end_byte)}
    for section in article.sections:
        for block in section.blocks:
            for place in range(block.start, block.end):
                if article.source.byte_of(place) not in covered:
                    assert not Wording(article).of(place, place + 1), "only what points elsewhere is in no chunk"


@given(PIECES, st.sampled_from([ChunkLimits(48, 20), ChunkLimits(64, 64), ChunkLimits(256, 120)]), st.booleans())
@example(f"\u2028{'a.b-c_d/e=f;' * 12} A sentence of words. - [Other](other.md)\n", ChunkLimits(48, 20), False)
def test_chunks_of_any_markdown(text: str, limits: ChunkLimits, mark: bool) -> None:
    _hold(("\ufeff" if mark else "") + text, limits, FakeEmbedder())


@given(PIECES)
@example(f"## Teil \u00dc\n\n{'x' * 90} Ein Wort, \u6f22\u5b57\u6f22\u5b57 und \U0001f642. ## Teil \u00dc\n\n")
def test_chunks_of_any_markdown_by_the_real_tokeniser(real_embedder: Embedder, text: str) -> None:
    _hold(text, ChunkLimits(64, 40), real_embedder)


@pytest.mark.parametrize("piece", ["한국어,", "각", "ﷺ", "x,", "漢", "é́́", "aB9_", "zq"])
def test_text_without_spaces_never_passes_the_limit(real_embedder: Embedder, piece: str) -> None:
    _hold("# T\n\n" + piece * 400, ChunkLimits(64, 40), real_embedder)


def test_a_heading_path_that_leaves_no_room_is_shortened(real_embedder: Embedder) -> None:
    article = parse_article("a.md", ("# " + "very long title " * 120 + "\n\nSome words of text.\n").encode())
    chunks = chunk_article(article, ChunkLimits(), real_embedder.count_tokens)
    assert max(real_embedder.count_tokens([chunk.embedding_text for chunk in chunks])) + 2 <= 256
    assert "Some words of text." in chunks[0].embedding_text
