"""A note's CommonMark as an Atlassian document.

https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from markdown_it.tree import SyntaxTreeNode

from service.connectors.markup import parse_markdown


def to_adf(markdown: str, last_line: str) -> dict[str, Any]:
    """The document, with `last_line` as its last paragraph."""
    content = [block for child in parse_markdown(markdown).children for block in _adf_blocks(child, nested=False)]
    return {"type": "doc", "version": 1, "content": [*content, _adf_paragraph([_adf_text(last_line)])]}


def _adf_blocks(node: SyntaxTreeNode, nested: bool) -> list[dict[str, Any]]:
    """The blocks of one node.

    Args:
        nested: whether they stand in a quote or a list item, which hold paragraphs, lists and code only.
    """
    match node.type:
        case "paragraph":
            return [_adf_paragraph(_adf_inline(node, []))]
        case "heading":
            if nested:
                return [_adf_paragraph(_adf_inline(node, [{"type": "strong"}]))]
            level = int(node.tag.removeprefix("h"))
            return [{"type": "heading", "attrs": {"level": level}, "content": _adf_inline(node, [])}]
        case "blockquote":
            return list(_adf_quotes(node)) if not nested else _adf_inner(node)
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
            return [] if nested else [{"type": "rule"}]
        case "table" if not nested:
            rows = [row for part in node.children for row in part.children]
            return [{"type": "table", "content": [_adf_row(row) for row in rows]}]
        case "tr":
            return [_adf_paragraph(list(_adf_cells(node)))]
        case _:
            return [block for child in node.children for block in _adf_blocks(child, nested)]


def _adf_inner(node: SyntaxTreeNode) -> list[dict[str, Any]]:
    return [block for child in node.children for block in _adf_blocks(child, nested=True)]


def _adf_quotes(node: SyntaxTreeNode) -> Iterator[dict[str, Any]]:
    """The quote; a table in it, which a quote cannot hold, stands between two."""
    for is_table, children in groupby(node.children, lambda child: child.type == "table"):
        blocks = [block for child in children for block in _adf_blocks(child, nested=not is_table)]
        if is_table:
            yield from blocks
        elif blocks:
            yield {"type": "blockquote", "content": blocks}


def _adf_row(row: SyntaxTreeNode) -> dict[str, Any]:
    cells = [
        {
            "type": "tableHeader" if cell.type == "th" else "tableCell",
            "content": [_adf_paragraph(_adf_inline(cell, []))],
        }
        for cell in row.children
    ]
    return {"type": "tableRow", "content": cells}


def _adf_cells(row: SyntaxTreeNode) -> Iterator[dict[str, Any]]:
    for position, cell in enumerate(row.children):
        if position:
            yield _adf_text(" | ")
        yield from _adf_inline(cell, [{"type": "strong"}] if cell.type == "th" else [])


def _adf_item(item: SyntaxTreeNode) -> dict[str, Any]:
    content = _adf_inner(item)
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
