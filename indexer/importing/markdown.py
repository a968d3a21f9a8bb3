"""Links in Markdown that is taken over as it is: `[[Page]]` of a wiki, and pages that moved. Code is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable

from indexer.articles import markdown_parser
from indexer.importing.converting import LinkFor, escape_text, inline_link

_WIKI = re.compile(r"(?<!\\)\[\[([^\[\]\n|]+)(?:\|([^\[\]\n|]+))?\]\]")
_INLINE = re.compile(r"(?<!\\)(\]\(\s*<?)([^)\s>]+)(>?(?:\s+\"[^\"\n]*\")?\s*\))")
_DEFINITION = re.compile(r"^( {0,3}\[[^\]\n]+\]:\s*<?)([^\s>]+)(.*)$")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
WIKI_SCHEME = "wiki:"
"""Put before the page name of a `[[Page]]` link when its address is looked up."""


def convert_markdown(text: str, link_for: LinkFor) -> str:
    """`text` with every link's address as `link_for` gives it. A link whose address is None keeps its form."""
    lines = text.split("\n")
    for number in _prose_lines(text):
        if number < len(lines):
            lines[number] = _outside_code(lines[number], lambda part: _links(part, link_for))
    return "\n".join(lines)


def _links(part: str, link_for: LinkFor) -> str:
    def wiki(match: re.Match[str]) -> str:
        # GitHub and GitLab write [[words|page]]; one part alone is both.
        words, page = match[1].strip(), (match[2] or match[1]).strip()
        name = words.partition("#")[0] if not match[2] else words
        address = link_for(WIKI_SCHEME + page)
        return inline_link(escape_text(name or page), address) if address else (name or page)

    def inline(match: re.Match[str]) -> str:
        return f"{match[1]}{link_for(match[2]) or match[2]}{match[3]}"

    return _DEFINITION.sub(inline, _INLINE.sub(inline, _WIKI.sub(wiki, part)))


def _prose_lines(text: str) -> list[int]:
    """0-based numbers of the lines that are not code."""
    code: set[int] = set()
    for token in markdown_parser().parse(text):
        if token.type in {"fence", "code_block", "front_matter"} and token.map:
            code.update(range(*token.map))
    return [number for number in range(text.count("\n") + 1) if number not in code]


def _outside_code(line: str, change: Callable[[str], str]) -> str:
    out, start = [], 0
    for span in _CODE_SPAN.finditer(line):
        out += [change(line[start : span.start()]), span[0]]
        start = span.end()
    return "".join([*out, change(line[start:])])
