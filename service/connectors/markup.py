"""A note's CommonMark in the markup that each vendor shows.

What an article says is shown as it stands and sets nothing off: no mention, no command, no placeholder of the vendor's.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_ZERO_WIDTH = "\u200b"
_MENTION = re.compile(r"(?<![\w`])([@#!%~&$])(?=[\w\"])")
_REFERENCE = re.compile(r"(?<=[\w.-])([#!%~&$])(?=\d)|\b(G[HL]-)(?=\d)", re.IGNORECASE)
"""`owner/name#12` and what else a forge takes for an issue, a change or a milestone of another project; `GH-7`."""
_JIRA_ESCAPABLE = "-#*_+?^~|%{}[]()!@"
_JIRA_MARKUP = re.compile(
    r"(?P<address>https?://[^\s|\[\]{}<>\"]+)"
    r"|(?P<backslashes>\\+)"
    r"|(?P<word>\A(?:h[1-6]|bq)(?=\.\s)|[:;](?=-?[DPp](?![A-Za-z0-9])))"
    r"|[{}\[\]|!*_^~+]|\?\?"
    r"|(?<![^\W_])-+|-+(?![^\W_])"
    r"|\A#+(?=\s)"
    r"|\((?=(?:[ynix/?]|on|off|flag|flagoff)\))|(?<=[:;])[()]"
)
"""What Jira would act on: phrases, macros, links, and words and faces that it shows as pictures."""
_COMMAND = re.compile(r"^([ \t>]*)/(?=[a-z])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one markup writes what CommonMark can say; every function is given text that is escaped already.

    Attributes:
        row: a table's row, given its cells and whether they are its head.
        bullets: signs of the items of a list, and of lists inside it.
        apart: between the blocks of a quote, and between items of which one holds a list: a blank line where a list
            goes on until there is one.
        nests_quotes: whether a quote may stand in a quote; otherwise the inner one is a part of the outer.
    """

    escape: Callable[[str], str]
    strong: Callable[[str], str]
    emphasis: Callable[[str], str]
    code: Callable[[str], str]
    link: Callable[[str, str], str]
    quote: Callable[[str], str]
    fence: Callable[[str], str]
    row: Callable[[Sequence[str], bool], str]
    bullets: Sequence[str]
    indent: bool
    apart: str = "\n"
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
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def parse_markdown(markdown: str) -> SyntaxTreeNode:
    """The tree of a note's CommonMark and tables, without raw HTML."""
    return SyntaxTreeNode(_parser().parse(markdown))


def _render(markdown: str, dialect: _Dialect) -> str:
    return "\n\n".join(_blocks(parse_markdown(markdown).children, dialect))


def _blocks(nodes: Sequence[SyntaxTreeNode], dialect: _Dialect) -> list[str]:
    return [text for node in nodes if (text := _block(node, dialect))]


def _quote(node: SyntaxTreeNode, dialect: _Dialect) -> str:
    if not dialect.nests_quotes:
        dialect = replace(dialect, quote=lambda text: text)
    return dialect.apart.join(_blocks(node.children, dialect))


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
            return _items(node, dialect)
        case "hr":
            return "----"
        case "tr":
            cells = [_inline(cell, dialect) for cell in node.children]
            return dialect.row(cells, node.children[0].type == "th")
        case _:
            return "\n".join(_blocks(node.children, dialect))


def _items(node: SyntaxTreeNode, dialect: _Dialect) -> str:
    first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    inner = dialect if first is not None else replace(dialect, bullets=dialect.bullets[1:] or dialect.bullets)
    items = []
    for position, item in enumerate(node.children):
        sign = dialect.bullets[0] if first is None else f"{first + position}."
        lines = "\n".join(_blocks(item.children, inner)).split("\n")
        pad = " " * (len(sign) + 1) if dialect.indent else ""
        items.append("\n".join([f"{sign} {lines[0]}", *(pad + line for line in lines[1:])]))
    holds_lists = any(child.type.endswith("_list") for item in node.children for child in item.children)
    return (dialect.apart if first is not None and holds_lists else "\n").join(items)


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
    """Plain text in which Jira reads no markup; addresses are left as they are, for Jira makes links of them.

    A backslash escapes a sign and nothing else: two of them are a line break, unless the word holds another one. So a
    single one stays, and what it would be taken for is parted from it by an invisible character.
    https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
    """
    return _JIRA_MARKUP.sub(lambda match: _escape_jira_part(match, text), text)


def _escape_jira_part(match: re.Match[str], text: str) -> str:
    part, rest = match[0], text[match.end() :]
    match match.lastgroup:
        case "address":
            return part
        case "word":
            return part + _ZERO_WIDTH
        case "backslashes":
            is_share = len(part) == 2 and re.match(r"\w\S*\\", rest) is not None
            shown = part if is_share else _ZERO_WIDTH.join(part)
            return shown if rest[:1] and rest[0] not in _JIRA_ESCAPABLE else shown + _ZERO_WIDTH
        case _:
            return "".join(f"\\{sign}" for sign in part)


def _link_jira(text: str, url: str) -> str:
    """A link's text may hold neither a bracket nor a bar, escaped or not."""
    shown = text.replace("\\[", "\\(").replace("\\]", "\\)").replace("\\|", "¦")
    return f"[{shown or 'link'}|{url.replace('|', '%7C').replace(']', '%5D')}]"


def _row_jira(cells: Sequence[str], is_head: bool) -> str:
    """A bar ends a cell, escaped or not."""
    bar = "||" if is_head else "|"
    return bar + "".join((cell.replace("\\|", "¦") or " ") + bar for cell in cells)


def _row_text(cells: Sequence[str]) -> str:
    return " | ".join(cells)


_SLACK = _Dialect(
    escape=escape_slack,
    strong=lambda text: f"*{text}*",
    emphasis=lambda text: f"_{text}_",
    code=lambda text: f"`{escape_slack(text)}`",
    link=lambda text, url: f"<{escape_slack(url).replace('|', '%7C')}|{text.replace('|', '¦') or 'link'}>",
    quote=_quote_lines,
    fence=lambda text: f"```\n{escape_slack(text)}\n```",
    row=lambda cells, is_head: f"*{_row_text(cells)}*" if is_head else _row_text(cells),
    bullets="•◦▪",
    indent=False,
)

_JIRA = _Dialect(
    escape=_escape_jira,
    strong=lambda text: f"*{text}*",
    emphasis=lambda text: f"_{text}_",
    code=lambda text: "{{" + _escape_jira(text) + "}}",
    link=_link_jira,
    quote=lambda text: f"{{quote}}\n{text}\n{{quote}}",
    fence=lambda text: "{noformat}\n" + text.replace("{noformat}", "{ noformat}") + "\n{noformat}",
    row=_row_jira,
    bullets=("*", "**", "***"),
    indent=False,
    apart="\n\n",
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
    row=lambda cells, is_head: _row_text(cells),
    bullets="-",
    indent=True,
)
