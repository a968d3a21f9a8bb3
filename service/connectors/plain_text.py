"""Vendors' markup as the plain text that is searched with."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from service.connectors.reading import clean_text
from service.html_text import html_text, looks_like_html

_SLACK_LINK = re.compile(r"<([^<>|]*)(?:\|([^<>]*))?>")
_WIKI_LINK = re.compile(r"\[([^|\[\]\n]*)\|([^|\[\]\n]*)(?:\|[^\[\]\n]*)?\]")
_WIKI_BLOCK = re.compile(r"\{(?:code|noformat|quote|panel|color)(?::[^{}\n]*)?\}")
_WIKI_HEADING = re.compile(r"^h[1-6]\.\s+", re.MULTILINE)
_ADF_BLOCKS = frozenset(
    {"paragraph", "heading", "codeBlock", "blockquote", "listItem", "tableRow", "rule", "panel", "expand", "taskItem"}
)


def html_to_text(markup: str, drop_quotes: bool = False) -> str:
    """The text of `markup`; see `html_text`."""
    return clean_text(html_text(markup, drop_quotes))


def any_to_text(text: str) -> str:
    """The text of a field that holds HTML at some installations and plain text at others."""
    return html_to_text(text) if looks_like_html(text) else clean_text(text)


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
