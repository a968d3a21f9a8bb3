"""Sentences with exact offsets: the unit that a snippet cites and that an oversized paragraph is cut at."""

from __future__ import annotations

import re

_ABBREVIATIONS = frozenset(
    {"e.g", "i.e", "etc", "vs", "cf", "approx", "incl", "no", "fig", "mr", "mrs", "ms", "dr", "st"}
)
_BOUNDARY = re.compile(
    r"(?<=[.!?…。！？])[\"'”’)\]*_`]*(?:\s+|(?<=[。！？]))|\n[ \t]*\n\s*|\n(?=[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t])"
)
_LOOK_BACK = 40
"""Characters before a boundary that are looked at: more than any abbreviation has."""
_LAST_WORD = re.compile(r"(\S+?)[.!?…\"'”’)\]*_`\s]*$")


def split_sentences(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Half-open offsets into `text` of the sentences in `text[start:end]`, without surrounding white space.

    A sentence also ends at a blank line and before a list item. Abbreviations, single initials and numbered-list
    marks do not end one. Every non-blank character belongs to exactly one sentence.
    """
    stop = len(text) if end is None else end
    spans: list[tuple[int, int]] = []
    begin = start
    for match in _BOUNDARY.finditer(text, start, stop):
        if "\n" not in match.group() and _is_abbreviation(text[max(begin, match.start() - _LOOK_BACK) : match.start()]):
            continue
        _add(spans, text, begin, match.end())
        begin = match.end()
    _add(spans, text, begin, stop)
    return spans


def split_lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Half-open offsets of the non-blank lines in `text[start:end]`: the units of code and logs."""
    spans: list[tuple[int, int]] = []
    begin = start
    while begin < end:
        newline = text.find("\n", begin, end)
        stop = end if newline < 0 else newline + 1
        _add(spans, text, begin, stop)
        begin = stop
    return spans


def _add(spans: list[tuple[int, int]], text: str, begin: int, end: int) -> None:
    piece = text[begin:end]
    stripped = piece.strip()
    if stripped:
        lead = len(piece) - len(piece.lstrip())
        spans.append((begin + lead, begin + lead + len(stripped)))


def _is_abbreviation(before: str) -> bool:
    match = _LAST_WORD.search(before)
    if not match:
        return False
    word = match.group(1).lstrip("([\"'").lower()
    return word in _ABBREVIATIONS or (len(word) == 1 and (word.isalpha() or word.isdigit())) or word in {"-", "*"}
