"""One page as the article file that `kb index` reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import relpath

from indexer.articles import MAX_FILE_BYTES, parse_article
from indexer.errors import ArticleError, NoText, PageError
from indexer.importing.converting import Document, absolute_link, escape_text, find_anchor
from indexer.importing.files import front_matter, slug
from indexer.importing.html import clean_text, one_line
from indexer.importing.markdown import convert_markdown
from indexer.importing.pages import Link, Page

MAX_SUMMARY = 300
_LABEL = re.compile(r"(?:product|products)[:=/](.+)", re.IGNORECASE)


class EmptyPage(PageError):
    """The page has no text of its own: a folder, or a page of macros or headings alone."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """An article file's bytes, and what its links led to."""

    data: bytes
    links: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A page parsed, its anchors known, its links not written yet."""

    page: Page
    document: Document | None
    anchors: dict[str, str]

    @classmethod
    def of(cls, page: Page) -> Draft:
        """Raises PageError if the page's HTML cannot be converted whole."""
        if page.html is None:
            return cls(page, None, {})
        document = Document(page.html, page.title)
        return cls(page, document, document.anchors)


def render_draft(
    draft: Draft,
    path: str,
    article_id: str,
    find_link: Callable[[str], Link | None],
    paths: Mapping[str, str],
    anchors_of: Callable[[str], Mapping[str, str]],
) -> Rendered:
    """The article file at `path`.

    Args:
        find_link: the imported page that an address in this page means.
        paths: article files by page id.
        anchors_of: names of places in the page with this id.

    Raises:
        EmptyPage: the page has no text.
        PageError: the article would not be readable by the indexer.
    """
    page, links = draft.page, {}

    def link_for(href: str) -> str | None:
        if href.startswith("#"):
            return f"#{find_anchor(draft.anchors, href[1:])}" if len(href) > 1 else None
        link = find_link(href)
        if link is None:
            return absolute_link(href, page.url)
        resolved = resolve_link(link, path, paths, anchors_of)
        links[href] = resolved
        return resolved or absolute_link(href, page.url)

    if draft.document is not None:
        body = draft.document.to_markdown(link_for)
        if not body:
            raise EmptyPage("has no text of its own")
        text = f"{_front_of(page, article_id)}\n# {escape_text(page.title)}\n\n{body}\n"
    else:
        body = convert_markdown(page.markdown or "", link_for)
        if not body.strip():
            raise EmptyPage("has no text of its own")
        text = f"{_front_of(page, article_id)}{body}"
    data = text.encode()
    if len(data) > MAX_FILE_BYTES:
        raise PageError(f"is larger than {MAX_FILE_BYTES // 1024**2} MiB as Markdown; split it at the source")
    try:
        article = parse_article(path, data)
    except NoText as error:
        raise EmptyPage("has no text of its own") from error
    except ArticleError as error:
        raise PageError(f"would not be a valid article: {error.reason}") from error
    if article.audience is not page.audience:
        raise PageError("its audience would not survive; this is a fault of the importer, please report it")
    return Rendered(data, links)


def resolve_link(
    link: Link, path: str, paths: Mapping[str, str], anchors_of: Callable[[str], Mapping[str, str]]
) -> str:
    """The relative address of `link` as written in the article at `path`; empty if its page is not imported."""
    target = paths.get(link.page_id)
    if target is None:
        return ""
    fragment = find_anchor(dict(anchors_of(link.page_id)), link.fragment) if link.fragment else ""
    address = relpath(target, str(PurePosixPath(path).parent)) if target != path else PurePosixPath(path).name
    return f"{address}#{fragment}" if fragment else address


def labels_to_tags(labels: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Products and tags of a source's labels; `product:billing` is a product, all else a tag."""
    products: list[str] = []
    tags: list[str] = []
    for label in labels:
        match = _LABEL.fullmatch(label.strip())
        if name := slug(match[1] if match else label, 40):
            (products if match else tags).append(name)
    return tuple(dict.fromkeys(products)), tuple(dict.fromkeys(tags))


def _front_of(page: Page, article_id: str) -> str:
    summary = one_line(page.summary)
    values: dict[str, object] = {
        "title": one_line(page.title),
        "id": article_id,
        "summary": summary if len(summary) <= MAX_SUMMARY else summary[: MAX_SUMMARY - 1].rstrip() + "\u2026",
        "audience": page.audience.value,
        "confidence": page.confidence.value if page.confidence else "",
        "products": list(page.products),
        "tags": list(page.tags),
        "source": clean_text(page.url),
        "updated": page.updated,
        "attachments": [
            {"name": one_line(item.name), **({"size_bytes": item.size_bytes} if item.size_bytes is not None else {})}
            for item in page.attachments
        ],
    }
    if page.markdown is None:
        return front_matter({**values, **page.front})
    return front_matter({**page.front, **{key: value for key, value in values.items() if value}})
