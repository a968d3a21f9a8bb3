"""Pieces of Markdown made whole."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from indexer.articles import read_article
from service.excerpts import cut_excerpts
from service.quoting import make_whole
from tests.conftest import write_article


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\n", "plain"),
        ("", ""),
        ("```text\na\n```\n", "```text\na\n```"),
        ("a\n\n```text\n", "a"),
        ("a\n```text\nb", "a\n```text\nb\n```"),
        ("b\n```\nafter", "```\nb\n```\nafter"),
        ("~~~\na", "~~~\na\n~~~"),
        ("1. Do:\n\n   ```bash\n   x \\", "1. Do:\n\n   ```bash\n   x \\\n   ```"),
        ("   a\n   ```\n2. Then", "```\na\n```\n2. Then"),
        ("````\na\n```\nb", "````\na\n```\nb\n````"),
    ],
)
def test_a_quote_never_swallows_what_follows(text: str, expected: str) -> None:
    assert make_whole(text) == expected
    tokens = MarkdownIt("commonmark").parse(f"{make_whole(text)}\n\nafterwards")
    assert tokens[-2].content == "afterwards"


def test_a_quote_that_ends_only_where_tables_are_known_is_shown_as_text() -> None:
    text = "2. a\n   ```sh\n2. b\n    c\n\n| d | e |\n|---|---|\n3. f"
    assert make_whole(text) == f"~~~~~~text\n{text}\n   ```\n~~~~~~"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n   ```\n2. B:\n   ```sh\n   c\n   ```", "```\na\n```\n2. B:\n   ```sh\n   c\n   ```"),
        ("```\n\nAfter it.", "After it."),
        ("```\n   It means mixed mode.\n4. Next", "It means mixed mode.\n\n4. Next"),
        ("```\na\n```\nAfter it.", "```\na\n```\nAfter it."),
    ],
)
def test_a_fence_is_told_for_what_it_was(text: str, expected: str) -> None:
    assert make_whole(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if a:\n       b()\n   c(d,\n     e)", "~~~~~~text\nif a:\n    b()\nc(d,\n  e)\n~~~~~~"),
        ("    x:\n      y: 1\n        z: 2\n\n      w: 3", "~~~~~~text\nx:\ny: 1\n  z: 2\n\nw: 3\n~~~~~~"),
        ("too small.\n   A wrapped line.\n\nA third cause.", "too small.\n   A wrapped line.\n\nA third cause."),
    ],
)
def test_code_without_its_fence_is_shown_as_code(text: str, expected: str) -> None:
    assert make_whole(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("correct it.\n4. Watch.\n5. Withdraw.", "correct it.\n\n4. Watch.\n5. Withdraw."),
        ("correct it.\n1. Watch.", "correct it.\n1. Watch."),
        ("in a\n   backfill.\n5. Split.\n   - a", "in a\nbackfill.\n\n5. Split.\n   - a"),
        ("one.\n      - two\n      - three\n4. Four", "one.\n- two\n- three\n4. Four"),
        ("- one\n      2. two", "- one\n\n  2. two"),
        ("   3. whole\n      lines\n   4. of it", "3. whole\n   lines\n4. of it"),
        ("def f():\n       return 1", "def f():\n       return 1"),
        ("since update\n141. The chain is valid.", "since update\n141. The chain is valid."),
    ],
)
def test_list_items_stay_apart(text: str, expected: str) -> None:
    assert make_whole(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("| a | b |\n|---|---|\n| c | d |", "| a | b |\n|---|---|\n| c | d |"),
        ("|---|---|\n| c | d |\n| e | f |", "| c | d |\n\n| e | f |"),
        ("| c | d |\n| e | f |\n\nAfter", "| c | d |\n\n| e | f |\n\nAfter"),
        ("```text\n| c | d |\n| e | f |\n```", "```text\n| c | d |\n| e | f |\n```"),
    ],
)
def test_rows_without_their_head_stay_apart(text: str, expected: str) -> None:
    assert make_whole(text) == expected


BODY = """## Resolution

1. Read the log. Look for refusals:

   ```bash
   journalctl -u agent
   ```

   No refusal? Go on.
2. Look at the table. It has the reasons.
   - Old keys. They end at midnight.
   - New keys. They begin then.
     1. In the console. Look twice.
     2. By the API.
3. Withdraw the key. The next call is refused.
4. Wait.

| Reply | Reason |
|---|---|
| 401 | the key is old. Or wrong. |
| 403 | the scope is missing. |

Tell the customer. Do not promise a date.
"""


def test_every_quote_of_an_article_reads_as_where_it_stood(tmp_path: Path) -> None:
    write_article(tmp_path, "a.md", BODY, title="Old keys")
    article = read_article(tmp_path, tmp_path / "a.md")
    excerpts = cut_excerpts(article, [(number, section.span) for number, section in enumerate(article.sections)])
    items, seen = item_lines(article.source.text), 0
    for window in range(len(excerpts.windows.starts)):
        text = excerpts.snippet(window, ()).text
        whole = make_whole(text)
        marked = item_lines(whole)
        for before, line in pairwise(text.split("\n")):
            if before.strip() and line.strip() in items:
                seen += 1
                assert line.strip() in marked, whole
        assert re.findall(r"[\w.?]+", whole.replace("bash", "")) == re.findall(r"[\w.?]+", text.replace("bash", ""))
    assert seen > 20


def item_lines(markdown: str) -> set[str]:
    """First lines of the list items of a text."""
    lines = markdown.split("\n")
    return {
        lines[token.map[0]].strip()
        for token in MarkdownIt("commonmark").parse(markdown)
        if token.type == "list_item_open" and token.map
    }
