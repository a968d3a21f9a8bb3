"""A note's CommonMark as an Adaptive Card, for messages in Microsoft Teams: a workflow's, and an outgoing webhook's.

A TextBlock knows bold, italic, lists and links of Markdown and shows everything else as it is written: fences, quotes,
check boxes. So the note is taken apart: each paragraph is a RichTextBlock, whose text runs are no Markdown at all, code
is monospaced line by line, and quotes are containers. Nothing in an article's words can be taken for markup.

https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features
https://learn.microsoft.com/adaptive-cards/schema-explorer/text-run
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from markdown_it.tree import SyntaxTreeNode

from service.connectors.contract import NoteLink
from service.connectors.markup import parse_markdown

MAX_CARD_BYTES = 24_000
"""Teams takes 28 KB of message: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using"""
_MAX_ACTIONS = 3
_MAX_ACTION_CHARS = 60
_CHECK_BOX = re.compile(r"\A\[[ xX]\] ")
_FUNCTION = re.compile(r"\{(?=\{(?:DATE|TIME)\()")
"""`{{DATE(…)}}`, which a card writes as a date."""

Element = dict[str, Any]


def to_message(title: str, markdown: str, links: Sequence[NoteLink] = ()) -> Element:
    """A message that is the card alone."""
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "content": to_card(title, markdown, links)}
    return {"type": "message", "attachments": [card]}


def to_card(title: str, markdown: str, links: Sequence[NoteLink] = ()) -> Element:
    """The card, cut where it would be too large for Teams.

    Args:
        title: above the note; may be empty.
        links: articles, each of which becomes a button.
    """
    heading = _rich([_run(title, size="Large", weight="Bolder")])
    elements = [heading] if title else []
    left = MAX_CARD_BYTES - len(json.dumps(elements))
    for element in _elements(parse_markdown(markdown).children):
        left -= len(json.dumps(element)) + 2
        if left < 0:
            elements.append(_rich([_run("…")]))
            break
        elements.append(element)
    buttons = [_open(link.url, link.title) for link in links[:_MAX_ACTIONS]]
    return {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": elements,
        **({"actions": buttons} if buttons else {}),
    }


def _elements(nodes: Sequence[SyntaxTreeNode], indent: str = "") -> list[Element]:
    return [element for node in nodes for element in _block(node, indent)]


def _block(node: SyntaxTreeNode, indent: str) -> list[Element]:
    match node.type:
        case "paragraph":
            runs = list(_runs(node))
            return [_rich(runs, indent)] if runs else []
        case "heading":
            return [_rich(list(_runs(node, weight="Bolder")), indent)]
        case "blockquote":
            return [_container(_elements(node.children))]
        case "fence" | "code_block":
            lines = node.content.rstrip("\n").split("\n")
            return [_container([_tight(_rich([_run(line or " ", fontType="Monospace")])) for line in lines])]
        case "bullet_list" | "ordered_list":
            return [element for item in _items(node, indent) for element in item]
        case "hr":
            return []
        case "tr":
            return [_tight(_rich(list(_cells(node)), indent))]
        case _:
            return _elements(node.children, indent)


def _cells(row: SyntaxTreeNode) -> Iterator[Element]:
    for position, cell in enumerate(row.children):
        if position:
            yield _run(" | ")
        yield from _runs(cell, **({"weight": "Bolder"} if cell.type == "th" else {}))


def _items(node: SyntaxTreeNode, indent: str) -> Iterator[list[Element]]:
    first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    for position, item in enumerate(node.children):
        sign = "• " if first is None else f"{first + position}. "
        made = _elements(item.children, f"{indent}\N{EM SPACE}")
        if made and made[0]["type"] == "RichTextBlock":
            runs = made[0]["inlines"][1:]  # without the indent, which the sign takes the place of
            if runs and _CHECK_BOX.match(runs[0]["text"]):
                sign, runs[0] = "☐ ", {**runs[0], "text": _CHECK_BOX.sub("", runs[0]["text"])}
            made[0] = _rich(runs, indent + sign)
        else:
            made.insert(0, _rich([], indent + sign))
        yield [_tight(made[0]), *made[1:]]


def _runs(node: SyntaxTreeNode, **style: Any) -> Iterator[Element]:
    for child in node.children:
        match child.type:
            case "text" | "image" if child.content:
                yield _run(child.content, **style)
            case "code_inline":
                yield _run(child.content, **{**style, "fontType": "Monospace"})
            case "softbreak" | "hardbreak":
                yield _run(" ", **style)
            case "strong":
                yield from _runs(child, **{**style, "weight": "Bolder"})
            case "em":
                yield from _runs(child, **{**style, "italic": True})
            case "link":
                url = str(child.attrs.get("href", ""))
                is_address = url.startswith(("https://", "http://"))  # a card with any other is refused as a whole
                action = {"selectAction": _open(url), "color": "Accent"} if is_address else {}
                yield from _runs(child, **{**style, **action})
            case _:
                yield from _runs(child, **style)


def _run(text: str, **style: Any) -> Element:
    return {"type": "TextRun", "text": _FUNCTION.sub("{\u200b", text), **style}


def _rich(runs: Sequence[Element], before: str = "") -> Element:
    return {"type": "RichTextBlock", "inlines": [*([_run(before)] if before else []), *runs]}


def _tight(element: Element) -> Element:
    return {**element, "spacing": "None"}


def _container(items: Sequence[Element]) -> Element:
    return {"type": "Container", "style": "emphasis", "items": list(items)}


def _open(url: str, title: str = "") -> Element:
    shown = title if len(title) <= _MAX_ACTION_CHARS else title[: _MAX_ACTION_CHARS - 1].rstrip() + "…"
    return {"type": "Action.OpenUrl", "url": url, **({"title": shown} if shown else {})}
