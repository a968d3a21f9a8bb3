"""A note's CommonMark in the markup that each vendor shows.

What an article says is shown as it stands and sets nothing off: no mention, no command, no placeholder of the vendor's.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_ZERO_WIDTH = "\u200b"
_MENTION = re.compile(r"(?<![\w`])([@#!%~&$])(?=[\w\"])")
_REFERENCE = re.compile(r"(?<=[\w.-])([#!%~&$])(?=\d)|\b(G[HL]-)(?=\d)", re.IGNORECASE)
"""`owner/name#12` and what else a forge takes for an issue, a change or a milestone of another project; `GH-7`."""
_TEAMS_LINK = re.compile(r"\]\(<([^<>]*)>\)")
_COMMAND = re.compile(r"^([ \t>]*)/(?=[a-z])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one markup writes what CommonMark can say; every function is given text that is escaped already.

    Attributes:
        nests_quotes: whether a quote may stand in a quote; otherwise the inner one is a part of the outer.
    """

    escape: Callable[[str], str]
    strong: Callable[[str], str]
    emphasis: Callable[[str], str]
    code: Callable[[str], str]
    link: Callable[[str, str], str]
    quote: Callable[[str], str]
    fence: Callable[[str], str]
    bullet: str
    indent: bool
    nests_quotes: bool = True


def to_html(markdown: str) -> str:
    """HTML without raw HTML of the note's; `{{` is written so that no template language takes it up."""
    return str(_parser().render(markdown)).replace("{{", "{&#123;").replace("{%", "{&#37;").strip()


def to_slack(markdown: str) -> str:
    """Slack's mrkdwn."""
    return _render(markdown, _SLACK)


def to_jira_wiki(markdown: str) -> str:
    """Jira's wiki markup."""
    return _render(markdown, _JIRA)


def to_plain(markdown: str) -> str:
    """Text with the addresses of links spelled out."""
    return _render(markdown, _PLAIN)


def to_adf(markdown: str, last_line: str) -> dict[str, Any]:
    """An Atlassian document, with `last_line` as its last paragraph.

    https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
    """
    content = [block for child in parse_markdown(markdown).children for block in _adf_blocks(child, in_list=False)]
    return {"type": "doc", "version": 1, "content": [*content, _adf_paragraph([_adf_text(last_line)])]}


def to_teams_markdown(markdown: str) -> str:
    """The Markdown of a message in Teams, which knows quotes and code; addresses stand without angle brackets.

    https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages
    """
    return _TEAMS_LINK.sub(lambda match: f"]({match[1].replace('(', '%28').replace(')', '%29')})", markdown)


def to_quiet_markdown(markdown: str) -> str:
    """Markdown for a forge: nobody is mentioned, no issue is referred to by number, and no line is a quick action.

    An invisible character parts the sign from the word. Code is left alone, where forges look for neither, and so are
    addresses: a link to an issue stays one.
    """
    lines = []
    fence = ""
    for line in markdown.split("\n"):
        opened = re.match(r"[ \t>]*(`{3,}|~{3,})", line)
        if opened and (not fence or opened[1].startswith(fence)):
            fence = "" if fence else opened[1]
        lines.append(line if fence or opened else _quiet(line))
    return "\n".join(lines)


def _quiet(line: str) -> str:
    parts = re.split(r"(`+[^`]*`+|\]\(<[^<>]*>\)|https?://[^\s<>)]+)", line)
    parts[::2] = [
        _REFERENCE.sub(rf"\g<0>{_ZERO_WIDTH}", _MENTION.sub(rf"\1{_ZERO_WIDTH}", part)) for part in parts[::2]
    ]
    return _COMMAND.sub(rf"\1{_ZERO_WIDTH}/", "".join(parts))


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})


def parse_markdown(markdown: str) -> SyntaxTreeNode:
    """The tree of a note's CommonMark, without raw HTML."""
    return SyntaxTreeNode(_parser().parse(markdown))


def _render(markdown: str, dialect: _Dialect) -> str:
    return "\n\n".join(_blocks(parse_markdown(markdown).children, dialect))


def _blocks(nodes: Sequence[SyntaxTreeNode], dialect: _Dialect) -> list[str]:
    return [text for node in nodes if (text := _block(node, dialect))]


def _quote(node: SyntaxTreeNode, dialect: _Dialect) -> str:
    if not dialect.nests_quotes:
        dialect = replace(dialect, quote=lambda text: text)
    return "\n".join(_blocks(node.children, dialect))


def _block(node: SyntaxTreeNode, dialect: _Dialect) -> str:
    match node.type:
        case "paragraph":
            return _inline(node, dialect)
        case "heading":
            return dialect.strong(_inline(node, dialect))
        case "blockquote":
            return dialect.quote(_quote(node, dialect))
        case "fence" | "code_block":
            return dialect.fence(node.content.rstrip("\n"))
        case "bullet_list" | "ordered_list":
            return "\n".join(_items(node, dialect))
        case "hr":
            return "----"
        case _:
            return "\n".join(_blocks(node.children, dialect))


def _items(node: SyntaxTreeNode, dialect: _Dialect) -> list[str]:
    first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    items = []
    for position, item in enumerate(node.children):
        sign = dialect.bullet if first is None else f"{first + position}."
        lines = "\n".join(_blocks(item.children, dialect)).split("\n")
        pad = " " * (len(sign) + 1) if dialect.indent else ""
        items.append("\n".join([f"{sign} {lines[0]}", *(pad + line for line in lines[1:])]))
    return items


def _inline(node: SyntaxTreeNode, dialect: _Dialect) -> str:
    return "".join(_span(child, dialect) for child in node.children)


def _span(node: SyntaxTreeNode, dialect: _Dialect) -> str:
    match node.type:
        case "text":
            return dialect.escape(node.content)
        case "code_inline":
            return dialect.code(node.content)
        case "softbreak":
            return " "
        case "hardbreak":
            return "\n"
        case "link":
            return dialect.link(_inline(node, dialect), str(node.attrs.get("href", "")))
        case "image":
            return dialect.escape(node.content)
        case "strong":
            return dialect.strong(_inline(node, dialect))
        case "em":
            return dialect.emphasis(_inline(node, dialect))
        case _:
            return _inline(node, dialect)


def _quote_lines(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def escape_slack(text: str) -> str:
    """Plain text in which Slack reads no mention and no link."""
    return html.escape(text, quote=False)


def _escape_jira(text: str) -> str:
    return re.sub(r"([\\{}\[\]|!*_^~+])", r"\\\1", text)


_SLACK = _Dialect(
    escape=escape_slack,
    strong=lambda text: f"*{text}*",
    emphasis=lambda text: f"_{text}_",
    code=lambda text: f"`{escape_slack(text)}`",
    link=lambda text, url: f"<{escape_slack(url).replace('|', '%7C')}|{text.replace('|', '¦') or 'link'}>",
    quote=_quote_lines,
    fence=lambda text: f"```\n{escape_slack(text)}\n```",
    bullet="•",
    indent=False,
)

_JIRA = _Dialect(
    escape=_escape_jira,
    strong=lambda text: f"*{text}*",
    emphasis=lambda text: f"_{text}_",
    code=lambda text: "{{" + _escape_jira(text) + "}}",
    link=lambda text, url: f"[{text or 'link'}|{url.replace('|', '%7C').replace(']', '%5D')}]",
    quote=lambda text: f"{{quote}}\n{text}\n{{quote}}",
    fence=lambda text: "{noformat}\n" + text.replace("{noformat}", "{ noformat}") + "\n{noformat}",
    bullet="*",
    indent=False,
    nests_quotes=False,
)

_PLAIN = _Dialect(
    escape=lambda text: text,
    strong=lambda text: text,
    emphasis=lambda text: text,
    code=lambda text: text,
    link=lambda text, url: f"{text} ({url})" if text and text != url else url,
    quote=_quote_lines,
    fence=lambda text: "\n".join(f"    {line}" for line in text.split("\n")),
    bullet="-",
    indent=True,
)


def _adf_blocks(node: SyntaxTreeNode, in_list: bool) -> list[dict[str, Any]]:
    """The blocks of one node. A list item may hold neither quotes nor headings, so these become paragraphs there."""
    match node.type:
        case "paragraph":
            return [_adf_paragraph(_adf_inline(node, []))]
        case "heading":
            if in_list:
                return [_adf_paragraph(_adf_inline(node, [{"type": "strong"}]))]
            level = int(node.tag.removeprefix("h"))
            return [{"type": "heading", "attrs": {"level": level}, "content": _adf_inline(node, [])}]
        case "blockquote":
            inner = [block for child in node.children for block in _adf_blocks(child, in_list=True)]
            if in_list or any(block["type"] != "paragraph" for block in inner):
                return inner
            return [{"type": "blockquote", "content": inner}] if inner else []
        case "fence" | "code_block":
            text = node.content.rstrip("\n")
            return [{"type": "codeBlock", "content": [_adf_text(text)] if text else []}]
        case "bullet_list" | "ordered_list":
            kind = "bulletList" if node.type == "bullet_list" else "orderedList"
            listing: dict[str, Any] = {"type": kind, "content": [_adf_item(item) for item in node.children]}
            if kind == "orderedList" and node.attrs.get("start"):
                listing["attrs"] = {"order": int(node.attrs["start"])}
            return [listing]
        case "hr":
            return [] if in_list else [{"type": "rule"}]
        case _:
            return [block for child in node.children for block in _adf_blocks(child, in_list)]


def _adf_item(item: SyntaxTreeNode) -> dict[str, Any]:
    content = [block for child in item.children for block in _adf_blocks(child, in_list=True)]
    if not content or content[0]["type"] in {"bulletList", "orderedList"}:
        content.insert(0, _adf_paragraph([]))
    return {"type": "listItem", "content": content}


def _adf_paragraph(content: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(content)}


def _adf_text(text: str, marks: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"marks": list(marks)} if marks else {})}


def _adf_inline(node: SyntaxTreeNode, marks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = []
    for child in node.children:
        match child.type:
            case "text" if child.content:
                spans.append(_adf_text(child.content, marks))
            case "code_inline":
                kept = [mark for mark in marks if mark["type"] == "link"]
                spans.append(_adf_text(child.content, [*kept, {"type": "code"}]))
            case "softbreak":
                spans.append(_adf_text(" ", marks))
            case "hardbreak":
                spans.append({"type": "hardBreak"})
            case "strong" | "em":
                spans += _adf_inline(child, [*marks, {"type": child.type}])
            case "link":
                link = {"type": "link", "attrs": {"href": str(child.attrs.get("href", ""))}}
                spans += _adf_inline(child, [*marks, link])
            case _:
                spans += _adf_inline(child, marks)
    return spans
