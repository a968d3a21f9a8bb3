"""Vendors' markup as the plain text that is searched with."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from service.connectors.reading import clean_text

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
_SLACK_LINK = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")
_WIKI_LINK = re.compile(r"\[([^|\[\]\n]*)\|([^|\[\]\n]*)(?:\|[^\[\]\n]*)?\]")
_WIKI_BLOCK = re.compile(r"\{(?:code|noformat|quote|panel|color)(?::[^{}\n]*)?\}")
_WIKI_HEADING = re.compile(r"^h[1-6]\.\s+", re.MULTILINE)
_ADF_BLOCKS = frozenset(
    {"paragraph", "heading", "codeBlock", "blockquote", "listItem", "tableRow", "rule", "panel", "expand", "taskItem"}
)


def html_to_text(markup: str, drop_quotes: bool = False) -> str:
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


def any_to_text(text: str) -> str:
    """The text of a field that holds HTML at some installations and plain text at others."""
    return html_to_text(text) if _LOOKS_LIKE_HTML.search(text) else clean_text(text)


def slack_to_text(mrkdwn: str) -> str:
    """Slack's message text with links and channels spelled out, mentions of users and groups taken out.

    https://docs.slack.dev/messaging/formatting-message-text
    """
    return clean_text(html.unescape(_SLACK_LINK.sub(_spell_slack, mrkdwn)))


def wiki_to_text(wiki: str) -> str:
    """Jira's wiki markup without its braces and links."""
    plain = _WIKI_LINK.sub(r"\1 (\2)", wiki)
    return clean_text(_WIKI_HEADING.sub("", _WIKI_BLOCK.sub("", plain)))


def markdown_to_text(markdown: str) -> str:
    """Markdown as it is typed, without the hidden comments that issue templates hold."""
    kept: list[str] = []
    position = 0
    while (start := markdown.find("<!--", position)) >= 0 and (end := markdown.find("-->", start + 4)) >= 0:
        kept.append(markdown[position:start])
        position = end + 3
    return clean_text("".join([*kept, markdown[position:]]))


def adf_to_text(document: Mapping[str, Any]) -> str:
    """The text of an Atlassian document, one line for each block.

    https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
    """
    parts: list[str] = []
    stack: list[Any] = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
        elif isinstance(node, dict):
            kind = _own_text(node, "type")
            inner = _adf_leaf(node, kind)
            children = node.get("content")
            stack.append("\n" if kind in _ADF_BLOCKS else "")
            stack.extend(reversed(children) if isinstance(children, list) else [])
            stack.append(inner)
    lines = (line.strip() for line in "".join(parts).split("\n"))
    return clean_text(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)))


def _adf_leaf(node: Mapping[str, Any], kind: str) -> str:
    attributes = node.get("attrs")
    given = attributes if isinstance(attributes, dict) else {}
    match kind:
        case "text":
            return _own_text(node, "text")
        case "hardBreak":
            return "\n"
        case "inlineCard" | "blockCard" | "embedCard":
            return _own_text(given, "url")
        case "emoji":
            return _own_text(given, "shortName")
        case _:
            return ""


def _own_text(node: Mapping[str, Any], name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _spell_slack(match: re.Match[str]) -> str:
    target, label = match[1], match[2] or ""
    if target.startswith(("@", "!subteam")):
        return ""
    if target.startswith("#"):
        return f"#{label}" if label else ""
    if target.startswith("!"):
        return label or f"@{target[1:].partition('^')[0]}"
    return f"{label} ({target})" if label and label != target else target


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
        return clean_text(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)))

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
