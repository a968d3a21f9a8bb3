"""HTML comments (`<!-- ... -->`): rendered Markdown does not show them, so authors write there what is not for readers.

They are no part of an article: not indexed, not rendered, and never inside of what is quoted. Source: CommonMark 0.31,
HTML blocks (kind 2) and raw HTML.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from indexer.source import SourceText

_OPEN, _CLOSE = "<!--", "-->"
_MARKS = re.compile(r"\\<|`+|<!--|-->")
_PROSE = frozenset({"paragraph_open", "heading_open", "table_open"})


def comment_plugin(parser: MarkdownIt) -> None:
    """Has `parser` make hidden tokens of the type `comment`, blocks and inline, that render to nothing."""
    parser.block.ruler.before("html_block", "comment", _block_rule, {"alt": ["paragraph", "reference", "blockquote"]})
    parser.inline.ruler.before("autolink", "comment", _inline_rule)


def hides_comment(text: str, start: int, end: int) -> bool:
    """Whether a comment may stand in `text[start:end]`, which lies between two blocks."""
    return text.find(_OPEN, start, end) >= 0


def find_comments(source: SourceText, tokens: list[Token]) -> list[tuple[int, int]]:
    """Half-open character ranges of all comments, in order. `tokens` are those of `source`."""
    found: list[tuple[int, int]] = []
    for token in tokens:
        if token.map and token.type in {"comment", *_PROSE}:
            start, end = source.line_start(token.map[0] + 1), source.line_start(token.map[1] + 1)
            found += [(start, end)] if token.type == "comment" else find_inline_comments(source.text, start, end)
    return sorted(set(found))


def find_inline_comments(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges of the comments in a piece of prose. What a code span shows is none."""
    if not hides_comment(text, start, end):
        return
    marks = list(_MARKS.finditer(text, start, end))
    left = Counter(mark.group() for mark in marks)
    begun, ticks = -1, ""
    for mark in marks:
        what = mark.group()
        left[what] -= 1
        if begun >= 0:
            if what == _CLOSE:
                yield begun, mark.end()
                begun = -1
        elif ticks:
            ticks = "" if what == ticks else ticks
        elif what == _OPEN and left[_CLOSE]:
            begun = mark.start()
        elif what.startswith("`") and left[what]:
            ticks = what


def _block_rule(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    begin = state.bMarks[start_line] + state.tShift[start_line]
    if state.is_code_block(start_line) or not state.src.startswith(_OPEN, begin):
        return False
    line, begin, is_parted = start_line, begin + len(_OPEN), False
    while (close := state.src.find(_CLOSE, begin, state.eMarks[line])) < 0:
        line += 1
        if line >= end_line or (state.sCount[line] < state.blkIndent and not state.isEmpty(line)):
            break  # never closed: it hides the rest, as it does everywhere
        is_parted = is_parted or state.isEmpty(line)
        begin = state.bMarks[line] + state.tShift[line]
    if close >= 0 and not is_parted and state.src[close + len(_CLOSE) : state.eMarks[line]].strip():
        return False  # words behind it, on its last line: the comment is inside of a paragraph
    if not silent:
        state.line = min(line + 1, end_line) if close >= 0 else line
        token = state.push("comment", "", 0)
        token.hidden, token.map = True, [start_line, state.line]
    return True


def _inline_rule(state: StateInline, silent: bool) -> bool:
    if not state.src.startswith(_OPEN, state.pos):
        return False
    last = state.env.setdefault(_CLOSE, {})  # where each text's last one ends, looked for once
    if state.src not in last:
        last[state.src] = state.src.rfind(_CLOSE)
    if last[state.src] < state.pos + len(_OPEN):
        return False
    if not silent:
        state.push("comment", "", 0).hidden = True
    state.pos = state.src.index(_CLOSE, state.pos + len(_OPEN)) + len(_CLOSE)
    return True
