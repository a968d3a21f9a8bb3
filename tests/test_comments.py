from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.articles import Article, markdown_parser, parse_article
from indexer.chunking import ChunkLimits, chunk_article
from indexer.comments import find_comments
from service.answers import Snippet
from service.excerpts import cut_excerpts
from service.rendering import public_markdown, render_article

ARTICLE = """\
# Title <!-- h-secret -->

<!-- b-secret: the customer pays late -->

Restart the agent.
<!-- m-secret

## Old heading of m-secret

of several lines -->
Then <!-- i-secret --> wait a minute.

- one
  <!-- l-secret -->
- two <!-- e-secret -->

| code | meaning |
|---|---|
| 7 | worn <!-- t-secret --> out |

```html
<!-- shown -->
```

Write `<!-- shown too -->` around it, or \\<!-- shown as well.

<!-- p-secret --> Words behind it. <!-- q-secret -->
"""
SHOWN = ("Restart the agent.", "wait a minute.", "one", "two", "worn", "out", "Words behind it.")


def blocks_of(article: Article) -> list[str]:
    text = article.source.text
    return [text[block.start : block.end] for section in article.sections for block in section.blocks]


def pieces_of(article: Article) -> list[str]:
    """Everything that an index or an answer may take out of an article."""
    chunks = chunk_article(article, ChunkLimits(), lambda texts: [len(text.split()) for text in texts])
    excerpts = cut_excerpts(article, [(chunk.section, chunk.span) for chunk in chunks])
    snippets: list[Snippet] = [excerpts.snippet(window, ()) for window in range(len(excerpts.windows.starts))]
    return [
        article.title,
        *(name for section in article.sections for name in section.heading_path),
        *blocks_of(article),
        *(article.source.slice(chunk.span) for chunk in chunks),
        *(chunk.embedding_text for chunk in chunks),
        *(snippet.text for snippet in snippets),
        render_article(article, lambda path: path),
        public_markdown(article, lambda path: path),
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_nothing_is_taken_out_of_a_comment_and_everything_else_stays(newline: str, mark: str) -> None:
    article = parse_article("a.md", (mark + ARTICLE).replace("\n", newline).encode())
    pieces = pieces_of(article)
    assert [piece for piece in pieces if "secret" in piece] == []
    assert all(words in " ".join(blocks_of(article)) for words in SHOWN)
    assert "<!-- shown -->" in " ".join(blocks_of(article))
    assert "<!-- shown too -->" in " ".join(blocks_of(article))
    assert "&lt;!-- shown as well" in render_article(article, lambda path: path)
    assert [section.heading_path for section in article.sections] == [("Title",)]


def test_lines_of_a_public_article_keep_their_numbers() -> None:
    shown = public_markdown(parse_article("a.md", ARTICLE.encode()), lambda path: path).split("\n")
    assert len(shown) == ARTICLE.count("\n") + 1
    assert [(line, ARTICLE.split("\n").index(line) + 1) for line in ("Restart the agent.", "```html")] == [
        (line, shown.index(line) + 1) for line in ("Restart the agent.", "```html")
    ]


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("<!-- a --> <!-- b -->\n\nx\n", ["x"]),
        ("> <!-- a -->\n> x\n", ["> x"]),
        ("x <!-- never closed\n", ["x <!-- never closed"]),
        ("x\n\n<!-- never closed\n\ny\n", ["x"]),
        ("`` ` <!-- a --> `` x <!-- b -->\n", ["`` ` <!-- a --> `` x"]),
        ("one ` tick <!-- a --> x\n", ["one ` tick", "x"]),
        ("    <!-- code -->\n", ["    <!-- code -->"]),
        ("- <!-- a -->\n- x\n", ["- x"]),
        ("<!-- a\nb --> x\n", ["x"]),
        ("x\n--> y\n", ["x\n--> y"]),
        (f"Look: ![a dialog](data:image/png;base64,{'aGVs' * 9000}) and press.\n", ["Look:", "and press."]),
        ("<!-- ![a](data:image/png;base64,aGVs) --> x ![b](b.png)\n", ["x ![b](b.png)"]),
        ("![](data:image/png;base64,aGVs)\n\nx\n", ["x"]),
    ],
)
def test_what_comments_leave(text: str, blocks: list[str]) -> None:
    assert blocks_of(parse_article("a.md", text.encode())) == blocks


@given(st.text(st.sampled_from("<!-> \n`\\x|#"), max_size=60))
def test_comments_are_in_order_and_in_no_block(text: str) -> None:
    article = parse_article("a.md", f"word\n\n{text}\n".encode())
    found = find_comments(article.source, markdown_parser().parse(article.source.text))
    places = [place for pair in found for place in pair]
    assert places == sorted(places)
    for section in article.sections:
        for block in section.blocks:
            assert not any(start < block.end and block.start < end for start, end in found)


@pytest.mark.parametrize("unit", ["<!--", "<!-- -->", "<!--\n", "`<!--", "<!-- \n\n", "> <!--\n", "![](data:"])
def test_time_grows_with_the_length_alone(unit: str) -> None:
    started = time.process_time()
    parse_article("a.md", f"x {unit * (120_000 // len(unit))}\n\nword\n".encode()[:120_000])
    assert time.process_time() - started < 10
