"""HTML of any origin cleaned up, so that what is left has a plain Markdown form.

markdownify does the writing (`indexer.importing.converting`); here stands what it expects or does not handle: hidden
parts, form controls, headings at odd levels, tables with spans, and code written with line breaks.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Comment, Tag
from bs4.element import NavigableString, PreformattedString

from indexer.errors import PageError

MAX_DEPTH = 200
"""Nesting past which a page is refused: parsers cut deeper text off silently."""

MAX_CELLS = 100_000
"""Cells of one table, spans spread out."""

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ufffe\uffff\u200b\u2060\ud800-\udfff]")
_DROPPED = (
    "script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "canvas", "audio", "video", "map",
    "select", "button", "textarea", "link", "meta", "nav", "dialog", "title", "head",
)  # fmt: skip
_BLOCKS = frozenset(
    {
        "p", "div", "section", "article", "main", "header", "footer", "aside", "ul", "ol", "li", "dl", "table", "tr",
        "td", "th", "pre", "blockquote", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "details",
    }
)  # fmt: skip
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def clean_text(text: str) -> str:
    """`text` without control characters, half surrogate pairs and invisible marks; no-break spaces as spaces."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " "))


def one_line(text: str) -> str:
    """`clean_text` on one line, without outer space."""
    return " ".join(clean_text(text).split())


def parse_html(html: str) -> BeautifulSoup:
    """The document tree. Raises PageError where it is nested too deeply to be converted whole."""
    soup = BeautifulSoup(clean_text(html), "lxml")
    _check_depth(soup)
    return soup


def clean_tree(root: Tag, title: str) -> None:
    """Bring `root` into the form that converts plainly. Headings start at level 2 and do not repeat `title`."""
    _drop_hidden(root)
    _unwrap_details(root)
    for item in root.find_all(["del", "s", "strike", "q", "var", "font", "u", "center"]):
        item.unwrap()
    for item in root.find_all(["tt", "samp", "kbd"]):
        item.name = "code"
    _code_with_breaks(root)
    _definition_lists(root)
    for table in reversed(root.find_all("table")):
        _plain_table(table)
    for inline in root.find_all(["b", "strong", "i", "em", "code", "span", "a"]):
        if any(isinstance(child, Tag) and child.name in _BLOCKS for child in inline.descendants):
            inline.unwrap()
    _headings(root, title)


def code_language(pre: Tag) -> str:
    """The language that a `pre` element or its `code` names; empty if none."""
    tags = [pre, *(tag for tag in (pre.find("code"), pre.parent) if isinstance(tag, Tag))]
    for tag in tags:
        for attribute in ("data-language", "data-lang", "lang"):
            if (value := tag.get(attribute)) and tag.name in {"pre", "code"}:
                return _language(str(value))
        told = f"{_class_of(tag)} {tag.get('data-syntaxhighlighter-params', '')}"
        match = re.search(r"(?:brush:\s*|\blanguage-|\blang-|\bhighlight-source-)([\w+#-]+)", told)
        if match:
            return _language(match[1])
    return ""


def image_text(image: Tag) -> str:
    """What stands for an image: its description, or the file's name where it has none; empty for decoration."""
    alt = image.get("alt")
    if alt is not None:
        return one_line(str(alt))
    source = str(image.get("src") or "")
    try:
        path = urlsplit(source).path
    except ValueError:
        return ""
    return "" if source.startswith("data:") else one_line(PurePosixPath(unquote(path)).name)


def _language(name: str) -> str:
    name = name.strip().lower()
    if not re.fullmatch(r"[\w+#-]{1,30}", name):
        return ""
    return {"plain": "text", "none": "", "plaintext": "text", "js": "javascript", "shell": "bash", "py": "python"}.get(
        name, name
    )


def _class_of(tag: Tag) -> str:
    value = tag.get("class")
    return " ".join(value) if isinstance(value, list) else str(value or "")


def _check_depth(root: Tag) -> None:
    depth = 0
    level: list[Tag] = [root]
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise PageError(f"its HTML is nested more than {MAX_DEPTH} levels deep; simplify it at the source")
        level = [child for tag in level for child in tag.children if isinstance(child, Tag)]


def _drop_hidden(root: Tag) -> None:
    for box in root.find_all("input"):
        if box.get("type") == "checkbox":
            box.replace_with("[x] " if box.has_attr("checked") else "[ ] ")
        else:
            box.decompose()
    for tag in root.find_all(_DROPPED):
        tag.decompose()
    for tag in root.find_all(True):
        if tag.decomposed:
            continue
        if tag.has_attr("hidden") or _HIDDEN.search(str(tag.get("style", ""))):
            tag.decompose()
    for text in root.find_all(string=lambda value: isinstance(value, Comment) or type(value) is PreformattedString):
        text.extract()


def _new(root: Tag, name: str, text: str = "") -> Tag:
    tag = _SOUP.new_tag(name)
    if text:
        tag.string = text
    return tag


_SOUP = BeautifulSoup("", "lxml")


def _unwrap_details(root: Tag) -> None:
    for summary in root.find_all(["summary", "legend"]):
        summary.name = "strong"
        summary.wrap(_new(root, "p"))
    for tag in root.find_all(["details", "fieldset", "form", "label"]):
        tag.name = "div" if tag.name != "label" else "span"


def _code_with_breaks(root: Tag) -> None:
    """`br` inside code means a new line there; code of several lines that is not in a `pre` becomes one."""
    for pre in root.find_all("pre"):
        for line_break in pre.find_all("br"):
            line_break.replace_with("\n")
    for code in root.find_all("code"):
        if code.find_parent("pre") is None and code.find("br"):
            for line_break in code.find_all("br"):
                line_break.replace_with("\n")
            code.wrap(_new(root, "pre"))


def _definition_lists(root: Tag) -> None:
    for term in root.find_all("dt"):
        term.name = "strong"
        term.wrap(_new(root, "p"))
    for meaning in root.find_all("dd"):
        meaning.name = "div"


def _headings(root: Tag, title: str) -> None:
    for heading in root.find_all(HEADINGS):
        words = one_line(heading.get_text(" ")) or " ".join(filter(None, map(image_text, heading.find_all("img"))))
        if not words:
            heading.name = "div"  # keeps an anchor that may stand in it
        elif heading.find_parent(["li", "td", "th", "blockquote", "pre"]):
            heading.name = "strong"
            heading.wrap(_new(root, "p"))
    headings: list[Tag] = list(root.find_all(HEADINGS))
    if headings and one_line(headings[0].get_text(" ")).casefold() == title.casefold() and headings[0].name == "h1":
        headings[0].name = "div"
        headings[0].clear()
        headings = headings[1:]
    if not headings:
        return
    shift = 2 - min(int(heading.name[1]) for heading in headings)
    for heading in headings:
        heading.name = f"h{min(6, int(heading.name[1]) + shift)}"


def _plain_table(table: Tag) -> None:
    """One row of header cells, then rows of equal length; a table for layout alone becomes its content."""
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    grid = _spread(rows)
    width = max((len(row) for row in grid), default=0)
    captions = [cell for cell in table.find_all("caption") if cell.find_parent("table") is table]
    if width <= 1 or table.get("role") == "presentation":
        for caption in captions:
            caption.name = "p"
        for tag in table.find_all(["td", "th", "tr", "tbody", "thead", "tfoot"]):
            tag.name = "div"
        table.name = "div"
        return
    if table.find_parent("table"):
        words = "; ".join(", ".join(filter(None, (one_line(c.get_text(" ")) for c in row if c))) for row in grid)
        table.replace_with(NavigableString(words))
        return
    plain = _new(table, "table")
    for number, row in enumerate(grid):
        line = _new(table, "tr")
        for cell in [*row, *[None] * (width - len(row))]:
            fresh = _new(table, "th" if number == 0 else "td")
            if cell is not None:
                for child in list(cell.contents):
                    fresh.append(child.extract())
                _flatten_cell(fresh)
            line.append(fresh)
        plain.append(line)
    for caption in captions:
        caption.name = "p"
        table.insert_before(caption.extract())
    table.replace_with(plain)


def _spread(rows: list[Tag]) -> list[list[Tag | None]]:
    """Cells by row and column; None where a span reaches to, so no words are said twice."""
    grid: list[list[Tag | None]] = []
    reaching: dict[tuple[int, int], None] = {}
    cells = 0
    for number, row in enumerate(rows):
        line: list[Tag | None] = []
        for cell in row.find_all(["td", "th"], recursive=False):
            while (number, len(line)) in reaching:
                line.append(None)
            across, down = _span(cell, "colspan"), min(_span(cell, "rowspan"), len(rows) - number)
            cells += across * down
            if cells > MAX_CELLS:
                raise PageError(f"it has a table of more than {MAX_CELLS} cells; split it at the source")
            column = len(line)
            line.extend([cell, *[None] * (across - 1)])
            reaching.update(dict.fromkeys((number + y, column + x) for y in range(1, down) for x in range(across)))
        while (number, len(line)) in reaching:
            line.append(None)
        if line:
            grid.append(line)
    return grid


def _span(cell: Tag, attribute: str) -> int:
    value = str(cell.get(attribute, "1")).strip()
    return max(1, min(1000, int(value))) if re.fullmatch(r"\d{1,6}", value, re.ASCII) else 1


def _flatten_cell(cell: Tag) -> None:
    """A Markdown cell is one line: list items get a bullet, code lines a span each, blocks a space."""
    for pre in cell.find_all("pre"):
        for line in filter(str.strip, pre.get_text().split("\n")):
            pre.insert_before(_new(cell, "code", line.strip()), " ")
        pre.decompose()
    for item in cell.find_all("li"):
        item.insert(0, "\u2022 ")
        item.name = "div"
    for tag in cell.find_all(["ul", "ol", "blockquote"]):
        tag.name = "div"
