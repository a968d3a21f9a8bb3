"""Lint rules on links: relative ones lead to files and headings that exist."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it.token import Token

from indexer.articles import ARTICLE_SUFFIXES, Article
from indexer.linting import Draft, Finding

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


def check_links(draft: Draft, root: Path, articles: Mapping[str, Article]) -> Iterator[Finding]:
    """Relative links and images of one article. `articles` holds every readable article by path."""
    for target, line in find_links(draft.tokens):
        if target and not _SCHEME.match(target) and (fault := _fault(draft, target, root, articles)):
            yield Finding(draft.path, line, "link", fault)


def find_links(tokens: list[Token]) -> Iterator[tuple[str, int]]:
    """Targets of all links and images with their 1-based lines."""
    for token in tokens:
        if token.type != "inline" or not token.map:
            continue
        line = token.map[0] + 1
        for child in token.children or ():
            if child.type in {"softbreak", "hardbreak"}:
                line += 1
            elif child.type == "link_open":
                yield str(child.attrGet("href") or ""), line
            elif child.type == "image":
                yield str(child.attrGet("src") or ""), line


def _fault(draft: Draft, target: str, root: Path, articles: Mapping[str, Article]) -> str | None:
    parts = urlsplit(target)
    if parts.path.startswith("/"):
        return f"`{target}` is absolute; write it relative to this article"
    name = unquote(parts.path)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(draft.path), name)) if name else draft.path
    if path.startswith(".."):
        return f"`{target}` leads out of the articles' folder"
    if not _is_file(root / path):
        return f"`{target}` does not exist"
    if not parts.fragment or Path(path).suffix.lower() not in ARTICLE_SUFFIXES or path not in articles:
        return None
    anchors = {section.anchor for section in articles[path].sections if section.anchor}
    return None if unquote(parts.fragment) in anchors else f"`{target}`: no heading has the anchor `{parts.fragment}`"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than any file may have
        return False
