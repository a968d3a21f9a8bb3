"""What an article only points to: entries of link lists, and phrases like "for more information, see [..](..)".

They hold the words of other articles' titles, and so speak for an article that does not say what is asked. They stay in
the source and may be quoted; what is embedded and looked up is without them. Cues are English and in Markdown.
"""

from __future__ import annotations

import re

_LINK = (
    r"(?:\[[^\[\]\n]{1,300}\]"
    r"(?:\([^()\n]{1,1000}(?:\([^()\n]{0,200}\)[^()\n]{0,200})?\)|\[[^\[\]\n]{0,100}\])"
    r"|<https?://[^\s<>]{1,1000}>)"
)
_ENTRY = re.compile(
    rf"^[ \t]*(?:[-*+]|\d{{1,4}}[.)])[ \t]{{1,8}}[*_]{{0,2}}{_LINK}[*_]{{0,2}}[ \t]{{0,8}}"
    r"(?:\([A-Z]{1,10}-?\d{1,10}\)|[.,;:])?[ \t]*$",
    re.MULTILINE,
)
"""An item of a list that is nothing but a link, and perhaps the other article's number."""
_CUE = r"""(?ix:
    for\ (?:more|further|detailed|additional|complete|general|other|details?|info\w{0,10}|instructions|help|steps)\b
  | (?<!you\ )(?<!will\ )(?<!can\ )(?<!should\ )(?<!to\ )(?:please\ )?(?:also\ )?see\b
  | (?:please\ )?refer\ to\b
  | (?:to\ )?learn\ (?:more|how)\b
  | read\ (?:more|about|how)\b
  | more\ (?:information|details)\b
  | details\ (?:are|in|at)\b
)(?:(?![.!?]\s)[^\n]){0,160}?"""
_PHRASE = re.compile(rf"(?<![^\s(*_])(?:\({_CUE}{_LINK}[^()\n]{{0,80}}\)|{_CUE}{_LINK}[^.\n]{{0,80}}\.?)")
"""From where it begins to point to the end of that sentence or parenthesis."""


def find_pointers(markdown: str) -> list[tuple[int, int]]:
    """Where `markdown` only points elsewhere: half-open character ranges, ascending and apart.

    Takes time in proportion to its length.
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(match.span() for pattern in (_ENTRY, _PHRASE) for match in pattern.finditer(markdown)):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found
