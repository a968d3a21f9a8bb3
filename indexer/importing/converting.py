"""HTML to the project's Markdown dialect: what `indexer.articles` parses, written so that it reads well unrendered.

Only what CommonMark would take for markup is escaped, since escaped identifiers (`invalid\\_token`) are harder to find.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote, urljoin, urlsplit

from bs4 import Tag
from bs4.element import NavigableString
from markdownify import MarkdownConverter

from indexer.articles import slugify, unique_anchor
from indexer.errors import PageError
from indexer.importing.html import HEADINGS, clean_tree, code_language, image_text, one_line, parse_html

LinkFor = Callable[[str], str | None]
"""The address to write for an `href`; None to keep only the link's words."""

_ESCAPED = re.compile(
    r"""
      \\(?=[!-/:-@\[-`{-~])              # a backslash that would escape what follows
    | (?<=\S)\* | \*(?=\S)               # an asterisk that could open or close emphasis
    | (?<![^\W_])_ | _(?![^\W_])         # an underscore at the edge of a word
    | `
    | <(?=[A-Za-z/!?])                   # a tag or an automatic link
    | &(?=\#?\w{1,32};)                  # a character reference
    | \[(?=[^\]\n]{0,999}\](?:\(|\[|:))  # a link, a reference or a definition
    """,
    re.VERBOSE,
)
_BLOCK_MARK = re.compile(r"(\s*)(?:(\#{1,6}|[-+*]|>)(?=\s|$)|(>)|(=+|-{2,})(?=\s*$)|(~{3,})|(\d{1,9})([.)])(?=\s|$))")
_BLANK = re.compile(r"(?<![ \t])(?:[ \t]*\n){3,}")
_BREAKS = re.compile(r"(?: {2}\n)+[ \t]*\n|(?: {2}\n){2,}")


class Document:
    """A page's HTML, cleaned.

    Attributes:
        anchors: fragments in the written article by the names that links at the source use for them.
    """

    def __init__(self, html: str, title: str, body: Callable[[Tag], Tag] | None = None) -> None:
        """`body` picks the element that holds the article; the whole document without it.

        Raises:
            PageError: the page is too deep or too large to convert.
        """
        soup = parse_html(html)
        root = body(soup) if body else soup
        try:
            clean_tree(root, title)
        except RecursionError as error:
            raise PageError("its HTML is nested too deeply; simplify it at the source") from error
        self._root = root
        self.anchors = _anchors_of(root, title)

    def to_markdown(self, link_for: LinkFor) -> str:
        """The body as Markdown, without the title. Empty if the page has no text. Raises PageError."""
        writer = _Writer(link_for)
        try:
            text = writer.convert_soup(self._root)
        except RecursionError as error:
            raise PageError("its HTML is nested too deeply; simplify it at the source") from error
        return _tidy(text)


def find_anchor(anchors: dict[str, str], fragment: str) -> str:
    """The fragment to write for `fragment`; itself where the page has no such anchor."""
    for name in (fragment, unquote(fragment), unquote(fragment).replace("+", " ")):
        for known in (name, name.replace(" ", ""), name.casefold()):
            if known in anchors:
                return anchors[known]
    return fragment


def escape_text(text: str) -> str:
    """`text` so that it shows as it is, in the middle of a line of Markdown."""
    return _ESCAPED.sub(r"\\\g<0>", text)


def inline_link(text: str, address: str) -> str:
    """A Markdown link. `text` is Markdown already."""
    if text.count("[") != text.count("]"):
        text = re.sub(r"(?<!\\)([\[\]])", r"\\\1", text)
    return f"[{text}]({quote(address, safe=_URL_SAFE)})"


_URL_SAFE = "/:?#@!$&'*+,;=%~[]-._"


def _anchors_of(root: Tag, title: str) -> dict[str, str]:
    """Names of places to fragments. A name stands for the heading it is in or before; else for the one it is under."""
    used = {slugify(title): 0}
    anchors: dict[str, str] = {}
    texts: dict[str, str] = {}
    current = ""
    pending: list[str] = []
    inside: Tag | None = None
    for node in root.descendants:
        if inside is not None and inside not in node.parents:
            inside = None
        if isinstance(node, NavigableString):
            if inside is None and node.strip():
                anchors.update(dict.fromkeys(pending, current))
                pending = []
            continue
        if not isinstance(node, Tag):
            continue
        if node.name in HEADINGS:
            text = _heading_text(node)
            current, inside = unique_anchor(slugify(text), used), node
            anchors.update(dict.fromkeys(pending, current))
            pending = []
            flat = text.replace(" ", "")
            for name in (text, flat, flat.casefold(), f"{title.replace(' ', '')}-{flat}", current):
                texts.setdefault(name, current)
        names = [str(node[key]) for key in ("id", "name") if node.get(key) and (key == "id" or node.name == "a")]
        if inside is not None:
            anchors.update(dict.fromkeys(names, current))
        else:
            pending.extend(names)
    anchors.update(dict.fromkeys(pending, current))
    return {**texts, **anchors}


def _heading_text(heading: Tag) -> str:
    parts = []
    for node in heading.descendants:
        if isinstance(node, NavigableString):
            parts.append(str(node))
        elif isinstance(node, Tag) and node.name == "img" and (text := image_text(node)):
            parts.append(f"Image: {text}")
    return one_line("".join(parts))


class _Writer(MarkdownConverter):
    """markdownify with the project's forms of code, tables, images and links."""

    def __init__(self, link_for: LinkFor) -> None:
        super().__init__(heading_style="atx", bullets="-", wrap=True, wrap_width=None)
        self._link_for = link_for

    def escape(self, text: str, parent_tags: set[str]) -> str:
        return escape_text(text)

    def process_text(self, el: NavigableString, parent_tags: set[str] | None = None) -> str:
        text: str = super().process_text(el, parent_tags=parent_tags)  # type: ignore[misc]  # not in its stub
        tags = parent_tags or set()
        if "_noformat" in tags or not text:
            return text
        previous = el.previous_sibling
        if previous is None or (isinstance(previous, Tag) and previous.name not in _INLINE):
            text = _BLOCK_MARK.sub(_escape_mark, text, count=1) if _BLOCK_MARK.match(text) else text
        return text

    def convert_pre(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        code = el.get_text().rstrip().lstrip("\n")
        if not code.strip():
            return ""
        longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
        fence = "`" * (longest + 1)
        gap = "\n" if el.parent is not None and el.parent.name == "li" else "\n\n"  # one line keeps a list tight
        return f"{gap}{fence}{code_language(el)}\n{code}\n{fence}{gap}"

    def convert_img(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        words = image_text(el)
        if not words:
            return ""
        if "_noformat" in parent_tags or "emoticon" in str(el.get("class", "")):
            return words
        beside = isinstance(el.previous_sibling, Tag) and el.previous_sibling.name == "img"
        return f"{' ' if beside else ''}*Image: {escape_text(words)}*"  # `*a**b*` would be one emphasis

    def convert_a(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        words = text.strip()
        if "_noformat" in parent_tags or not words:
            return text
        href = str(el.get("href") or "").strip()
        address = self._link_for(href) if href else None
        if not address:
            return text
        before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
        if address == el.get_text().strip() and re.fullmatch(r"https?://[^\s<>]+", address):
            return f"{before}<{address}>{after}"
        return f"{before}{inline_link(words, address)}{after}"

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return f" {_cell(text)} |"

    convert_th = convert_td

    def convert_tr(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        cells = el.find_all(["td", "th"], recursive=False)
        rule = f"|{' --- |' * len(cells)}\n" if any(cell.name == "th" for cell in cells) else ""
        return f"|{text}\n{rule}"


_INLINE = frozenset(
    {"a", "abbr", "b", "strong", "i", "em", "code", "span", "img", "sub", "sup", "small", "mark", "time"}
)


def _escape_mark(match: re.Match[str]) -> str:
    if match[6]:
        return f"{match[1]}{match[6]}\\{match[7]}"
    return f"{match[1]}\\{match[0][len(match[1]) :]}"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", r"\|")


def _tidy(text: str) -> str:
    """Spare blank lines and trailing space dropped, except inside code."""
    out: list[str] = []
    fence = ""
    prose: list[str] = []

    def flush() -> None:
        if prose:
            joined = _BREAKS.sub("\n\n", "\n".join(prose))
            out.append(_BLANK.sub("\n\n", joined))
            prose.clear()

    for line in text.split("\n"):
        marks = re.match(r"[\s>\-]*?(`{3,})", line)
        if fence:
            out.append(line.rstrip() if line.strip().startswith(fence) else line)
            if line.strip().lstrip("> ") == fence:
                fence = ""
        elif marks:
            flush()
            out.append(line.rstrip())
            fence = marks[1]
        else:
            prose.append(line if line.endswith("  ") and line.strip() else line.rstrip())
    flush()
    return "\n".join(out).strip()


def absolute_link(href: str, base: str) -> str | None:
    """`href` for a reader of the article, absolute against a web address `base`; None if it leads nowhere."""
    try:
        whole = urljoin(base, href) if urlsplit(base).scheme in {"http", "https"} else href
        scheme = urlsplit(whole).scheme
    except ValueError:
        return None
    return whole if scheme in {"http", "https", "mailto"} else None
