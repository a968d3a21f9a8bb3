"""Pieces of Markdown made whole."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from service.quoting import close_fences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\n", "plain"),
        ("```text\na\n```\n", "```text\na\n```"),
        ("a\n\n```text\n", "a\n"),
        ("a\n```text\nb", "a\n```text\nb\n```"),
        ("b\n```\nafter", "```\nb\n```\nafter"),
        ("~~~\na", "~~~\na\n~~~"),
        ("1. Do:\n\n   ```bash\n   x \\", "1. Do:\n\n   ```bash\n   x \\\n   ```"),
        ("   a\n   ```\n2. Then", "   ```\n   a\n   ```\n2. Then"),
        ("````\na\n```\nb", "~~~~~~text\n````\na\n```\nb\n~~~~~~"),
    ],
)
def test_a_quote_never_swallows_what_follows(text: str, expected: str) -> None:
    assert close_fences(text) == expected
    tokens = MarkdownIt("commonmark").parse(f"{close_fences(text)}\n\nafterwards")
    assert tokens[-2].content == "afterwards"
