"""A piece of Markdown made whole, so that it can be quoted in the middle of other Markdown and reads as where it stood.

A quote is cut at sentences and lines, so it may begin or end within a code block, a list item or a table. What is
missing is told from the piece itself, and only its layout is changed: no word of it is added or lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from markdown_it import MarkdownIt

from indexer.articles import markdown_parser

_FENCE = re.compile(r"(\s*)(`{3,}|~{3,})\s*([^`]*)$")
"""A line that opens or closes a code block: its indent, its marks, and what opens one only."""

_ITEM = re.compile(r"^\s*(?:[-+*]|\d{1,2}[.)])\s+(?=\S)")
"""A list item's mark. Longer numbers are years and quantities at the beginning of a wrapped line."""

_ROW = re.compile(r"^\s*\|.*\|\s*$")
_SENTENCE_END = re.compile(r"[^\W\d_][)*_`\"']*[.!?]\s*$")
_DELIMITER = re.compile(r"\s*\|(?:\s*:?-+:?\s*\|)+\s*$")


def make_whole(text: str) -> str:
    """`text` with its code blocks opened and closed, its list items and table rows apart, and its indent taken off.

    What follows it is never taken for a part of it.
    """
    lines = _complete_fences(text.strip("\r\n").splitlines())
    if _is_code(lines):
        return "\n".join(["~~~~~~text", *_dedent(lines), "~~~~~~"])
    whole = _part_items("\n".join(_part_rows(_take_off_indent(lines))).strip("\n"))
    return f"~~~~~~text\n{whole}\n~~~~~~" if _ends_open(whole) else whole


def _is_code(lines: list[str]) -> bool:
    """Whether all of it is code, whose fence stands before and after it: prose without lists has no two indents."""
    if any(_ITEM.match(line) or _FENCE.match(line) for line in lines):
        return False
    return len({_indent_of(line) for line in lines[1:] if line.strip()} - {0}) > 1


def _dedent(lines: list[str]) -> Iterator[str]:
    """The lines of code without the indent that all share but the first, whose own was cut off."""
    shared = min(_indent_of(line) for line in lines[1:] if line.strip())
    yield lines[0].lstrip()
    yield from (line[shared:] for line in lines[1:])


def _complete_fences(lines: list[str]) -> list[str]:
    """The lines with the fence that is missing before the first or after the last; one around nothing is dropped."""
    if _begins_within_code(lines):
        closing = next(place for place, line in enumerate(lines) if _closes(line, ""))
        indent = lines[closing][: _indent_of(lines[closing])]
        first = lines[0] if lines[0].startswith(indent) else indent + lines[0]
        lines = [lines[closing].rstrip(), first, *lines[1:]] if closing else lines[1:]
    opened, since = "", 0
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if match and not opened:
            opened, since = match[1] + match[2], number
        elif opened and _closes(line, opened.strip()):
            opened = ""
    if not opened:
        return lines
    return lines[:-1] if since == len(lines) - 1 else [*lines, opened]


def _begins_within_code(lines: list[str]) -> bool:
    """Whether the first line stands within a code block that was opened before it, or closes one."""
    fences = [place for place, line in enumerate(lines) if _FENCE.match(line)]
    if not any(_closes(lines[place], "") for place in fences):
        return False
    within, without = (_count_nested(lines, within=within) for within in (True, False))
    if within != without:
        return within < without
    if fences[0] > 0:
        return len(fences) % 2 == 1
    if len(lines) == 1 or not lines[1].strip():  # code seldom begins with nothing
        return True
    is_prose = any(pattern.search(line) for line in lines[1:] for pattern in (_ITEM, _ROW, _SENTENCE_END))
    return len(fences) % 2 == 1 and is_prose


def _count_nested(lines: list[str], *, within: bool) -> int:
    """Fences with a language that would stand within code, where there should be none."""
    count, opened = 0, "" if within else None
    for line in lines:
        match = _FENCE.match(line)
        if match and opened is None:
            opened = match[2]
        elif match and match[3]:
            count += 1
        elif match and opened is not None and _closes(line, opened):
            opened = None
    return count


def _closes(line: str, opened: str) -> bool:
    """Whether a code block ends here that began with the marks `opened`; any block, if these are unknown."""
    match = _FENCE.match(line)
    return bool(match and not match[3] and match[2].startswith(opened))


def _take_off_indent(lines: list[str]) -> Iterator[tuple[str, bool]]:
    """Each line without the indent of the list item that the quote begins in, and whether it is code.

    A cut within a line has taken the first line's indent, so it is told from the lines that follow, up to the first
    that stands further left.
    """
    if not any(_ITEM.match(line) or _FENCE.match(line) for line in lines):  # perhaps code, whose indent says something
        yield from ((line, False) for line in lines)
        return
    shared: int | None = _indent_of(lines[0]) or None
    mark = None if shared else _ITEM.match(lines[0])
    own = len(mark[0]) if mark else 0
    opened, after_blank = "", False
    for number, line in enumerate(lines):
        if number and line.strip() and not opened:
            indent = max(0, _indent_of(line) - own)
            if shared is not None:
                shared = min(shared, indent)
            elif indent <= 3 or not after_blank:  # otherwise perhaps a code block by its indent
                shared = indent
        match = _FENCE.match(line)
        yield line[min(_indent_of(line), shared or 0) :], bool(opened or match)
        if match and not opened:
            opened = match[2]
        elif opened and _closes(line, opened):
            opened = ""
        after_blank = not line.strip()


def _indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def _part_rows(lines: Iterator[tuple[str, bool]]) -> Iterator[str]:
    """The lines, with rows of a table whose head is missing apart from each other."""
    has_head, before = False, ""
    waiting = [*lines, ("", False)]
    for (line, is_code), (after, _) in pairwise(waiting):
        is_row = not is_code and bool(_ROW.match(line))
        if is_row and not _ROW.match(before):
            has_head = bool(_DELIMITER.match(after)) and not _DELIMITER.match(line)
        if is_row and not has_head:
            if not _DELIMITER.match(line):
                yield from ("", line) if _ROW.match(before) else (line,)
        else:
            yield line
        before = "" if is_code else line


def _part_items(text: str) -> str:
    """`text` with a blank line before each list item that would be taken for a part of the paragraph before it.

    CommonMark lets only a list that starts at 1 follow a paragraph without one.
    """
    while swallowed := list(_swallowed_items(text)):
        lines = text.split("\n")
        for number in reversed(swallowed):
            lines.insert(number, "")
        text = "\n".join(lines)
    return text


def _swallowed_items(text: str) -> Iterator[int]:
    """The first line of each paragraph, its own beginning aside, that has the mark of a list item."""
    lines = text.split("\n")
    for token in markdown_parser().parse(text):
        if token.type == "paragraph_open" and token.map:
            inside = range(token.map[0] + 1, token.map[1])
            yield from [number for number in inside if _ITEM.match(lines[number])][:1]


def _ends_open(text: str) -> bool:
    """Whether a paragraph after `text` would be taken for a part of it, be tables known or not."""
    return any(
        not (tokens and tokens[-1].type == "paragraph_close" and tokens[-2].content == "afterwards")
        for tokens in (parser().parse(f"{text}\n\nafterwards") for parser in (markdown_parser, _plain_parser))
    )


@cache
def _plain_parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})
