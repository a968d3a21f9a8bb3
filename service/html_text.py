"""HTML as the text that its reader sees, in time that grows with its length whatever strangers send."""

from __future__ import annotations

import html
import re

_BLOCKS = frozenset(
    {
        "address", "article", "blockquote", "dd", "div", "dl", "dt", "figure", "footer", "h1", "h2", "h3", "h4", "h5",
        "h6", "header", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul",
    }
)  # fmt: skip
_TRACKED = frozenset({"blockquote", "div", "pre"})
"""Only what a quotation or a listing can be is followed to its end."""
_UNSEEN = frozenset({"script", "style", "head", "title", "template"})
_QUOTE_CLASSES = frozenset({"gmail_quote", "moz-cite-prefix", "yahoo_quoted", "protonmail_quote"})
_QUOTE_IDS = frozenset({"divRplyFwdMsg", "appendonsend"})
_MAX_UNCLOSED = 100
_HTML_PART = re.compile(r"<!--|<(?P<slash>/?)(?P<name>[!?A-Za-z][A-Za-z0-9:-]*)(?P<attributes>[^<>]*)>|[^<]+|<")
_MAX_HTML_CHARS = 500_000
_LOOKS_LIKE_HTML = re.compile(r"</?(?:p|div|br|span|ul|ol|li|table|pre|h[1-6])\b[^<>]*>", re.IGNORECASE)
_IS_HTML = re.compile(r"\s*<(?:!doctype|html|body|p|div|br|span|table|ul|ol|pre|h[1-6])\b", re.IGNORECASE)
_HTML_END = re.compile(r"</(?:p|div|span|table|ul|ol)>|<br\s*/?>", re.IGNORECASE)


def looks_like_html(text: str) -> bool:
    """Whether `text` holds any tag of those that make up messages: for a field that is HTML at some installations."""
    return _LOOKS_LIKE_HTML.search(text) is not None


def is_html(text: str) -> bool:
    """Whether `text` is an HTML message, not one that speaks of a tag: it begins with one, or its lines end in
    tags, more than two of them.
    """
    return _IS_HTML.match(text) is not None or len(_HTML_END.findall(text)) > 2


def html_text(markup: str, drop_quotes: bool = False) -> str:
    """The text that a reader of `markup` sees, one line for each block.

    `drop_quotes` leaves out block quotes and the parts that mail programs mark as the message replied to. The time is
    linear in the length whatever the markup: senders of mail are strangers, and tree builders are quadratic in depth.
    """
    reader = _Reader(drop_quotes)
    position, end = 0, min(len(markup), _MAX_HTML_CHARS)
    while position < end and (part := _HTML_PART.match(markup, position, end)):
        position = part.end()
        name = (part["name"] or "").lower()
        if part[0].startswith("<!--"):
            position = _after("-->", markup, part.start())
        elif not name:
            reader.read_text(part[0])
        elif part["slash"]:
            reader.close_tag(name)
        elif name in _UNSEEN:
            position = _after(f"</{name}", markup, position)
        else:
            reader.open_tag(name, part["attributes"])
    return reader.text()


def _after(closing: str, markup: str, position: int) -> int:
    """Where a comment, or an element nobody sees, has been closed; the end of the text if it never is."""
    found = re.compile(rf"{closing}[^<>]*>?" if closing != "-->" else closing, re.IGNORECASE).search(markup, position)
    return found.end() if found else len(markup)


class _Reader:
    """Collects the text between tags."""

    def __init__(self, drop_quotes: bool) -> None:
        self._parts: list[str] = []
        self._drop_quotes = drop_quotes
        self._open: list[tuple[str, bool]] = []
        self._pre = 0
        self._quoted = 0
        self._rest_is_quoted = False

    def open_tag(self, name: str, attributes: str) -> None:
        if name == "br":
            self._write("\n")
        elif name in _BLOCKS:
            self._write("\n- " if name == "li" else "\n")
        elif name in {"td", "th"}:
            self._write(" ")
        if name in _TRACKED:
            quoted = self._is_quote(name, attributes)
            self._open.append((name, quoted))
            self._quoted += quoted
            self._pre += name == "pre"

    def close_tag(self, name: str) -> None:
        if name in _TRACKED and any(name == opened for opened, _ in self._open[-_MAX_UNCLOSED:]):
            while True:
                opened, quoted = self._open.pop()
                self._pre -= opened == "pre"
                self._quoted -= quoted
                if opened == name:
                    break
        if name in _BLOCKS:
            self._write("\n")

    def read_text(self, data: str) -> None:
        text = html.unescape(data)
        self._write(text if self._pre else re.sub(r"\s+", " ", text))

    def text(self) -> str:
        lines = [re.sub(r"[ \t\xa0]+", " ", line).strip() for line in "".join(self._parts).split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def _write(self, text: str) -> None:
        if not self._rest_is_quoted and not self._quoted:
            self._parts.append(text)

    def _is_quote(self, name: str, attributes: str) -> bool:
        if not self._drop_quotes:
            return False
        named = re.findall(r"(?:id|class)\s*=\s*[\"']?([^\"'>]*)", attributes, re.IGNORECASE)
        words = {word for value in named for word in value.split()}
        self._rest_is_quoted |= bool(words & _QUOTE_IDS)
        return name == "blockquote" or bool(words & _QUOTE_CLASSES)
