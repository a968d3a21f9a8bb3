"""A piece of Markdown made whole, so that it can be quoted in the middle of other Markdown."""

from __future__ import annotations

import re

from indexer.articles import markdown_parser

_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})")


def close_fences(text: str) -> str:
    """`text` such that what follows it is not code, although it may begin or end in the middle of a fenced block."""
    lines = text.strip("\r\n").splitlines()
    fences = [place for place, line in enumerate(lines) if _FENCE.match(line)]
    closed = "\n".join(lines)
    if len(fences) % 2:
        first, last = lines[fences[0]], lines[fences[-1]]
        if first.strip(" `~") == "" and fences[0] > 0:
            closed = "\n".join([_mark(first), *lines])
        else:
            closed = "\n".join(lines[:-1] if fences[-1] == len(lines) - 1 else [*lines, _mark(last)])
    if _ends_open(closed):
        closed = f"~~~~~~text\n{closed}\n~~~~~~"
    return closed


def _mark(line: str) -> str:
    """The bare fence of a fence line, at the same indent, so that it belongs to the same list item."""
    match = _FENCE.match(line)
    return match[0] if match else "```"


def _ends_open(text: str) -> bool:
    """Whether a paragraph after `text` would be taken for a part of it."""
    tokens = markdown_parser().parse(f"{text}\n\nafterwards")
    return not (tokens and tokens[-1].type == "paragraph_close" and tokens[-2].content == "afterwards")
