"""A folder of plain HTML files. What one says in `<meta name="kb:...">` is taken as front matter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path, PurePosixPath
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from indexer.errors import PageError, SourceError
from indexer.importing.archives import Archive, open_archive, read_member
from indexer.importing.html import HEADINGS, one_line
from indexer.importing.pages import Attachment, LeftOut, Link, Page, PageRef, Source
from indexer.importing.rendering import labels_to_tags
from indexer.metadata import Audience, Confidence

_SUFFIXES = frozenset({".html", ".htm", ".xhtml"})
_LISTS = ("versions", "components", "error_codes", "related")


class HtmlFolder(Source):
    """HTML files below a folder or in a ZIP file. Their paths are their ids."""

    kind = "html"
    prefix = "html"

    def __init__(self, path: Path, unsaid: Audience = Audience.INTERNAL) -> None:
        """`unsaid` is the audience of files that name none."""
        self._archive: Archive = open_archive(path)
        self.place = f"HTML files of {path.resolve().name}"
        self.left_out: list[LeftOut] = []
        self._unsaid = unsaid
        self._names: set[str] = set()

    def list_pages(self) -> list[PageRef]:
        refs = []
        for name in self._archive.names():
            pure = PurePosixPath(name)
            if any(part.startswith(".") for part in pure.parts) or pure.suffix.lower() not in _SUFFIXES:
                continue
            try:
                data = read_member(self._archive, name)
            except PageError as error:
                raise SourceError(f"{name} {error}; remove it from the folder") from error
            if b'<meta name="kb:index"' in data:
                continue  # the table of contents of an export
            self._names.add(name)
            digest = hashlib.sha256(data).hexdigest()
            version = hashlib.sha256(f"{digest} {self._unsaid}".encode()).hexdigest()[:32]
            refs.append(PageRef(name, version, pure.stem, None, str(pure.with_suffix(".md")), digest))
        if not refs:
            raise SourceError("no .html files there; name the folder that holds them")
        return refs

    def fetch_page(self, ref: PageRef) -> Page:
        data = read_member(self._archive, ref.id)
        soup = BeautifulSoup(data, "lxml")  # finds out the encoding
        meta = _meta_of(soup)
        audience = self._audience(meta)
        body = _body_of(soup)
        title = _title_of(soup, body) or ref.title
        products, tags = labels_to_tags(meta.get("keywords", "").split(","))
        front: dict[str, object] = {name: list(items) for name in _LISTS if (items := _list_of(soup, name))}
        front.update({name: meta[f"kb:{name}"] for name in ("type", "governance", "owner") if meta.get(f"kb:{name}")})
        if checked := meta.get("kb:last_verified"):
            try:
                front["last_verified"] = date.fromisoformat(checked)
            except ValueError as error:
                raise PageError(f"kb:last_verified is {checked!r}; write a date such as 2026-01-31") from error
        own_products, own_tags = _list_of(soup, "products"), _list_of(soup, "tags")
        return Page(
            title=title,
            audience=audience,
            html=str(body),
            article_id=meta.get("kb:id", ""),
            summary=meta.get("description", ""),
            confidence=_confidence_of(meta),
            products=own_products or products,
            tags=own_tags or tags,
            front=front,
        )

    def find_link(self, href: str, page_id: str) -> Link | None:
        try:
            parts = urlsplit(href)
        except ValueError:
            return None
        if parts.scheme or parts.netloc or not parts.path:
            return None
        target = normpath(join(dirname(page_id), unquote(parts.path)))
        if target in self._names:
            return Link(target, parts.fragment)
        for index in ("index.html", "index.htm"):
            if join(target, index) in self._names:
                return Link(join(target, index), parts.fragment)
        return Link(target, parts.fragment)

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        raise PageError("HTML files have no attachments")

    def _audience(self, meta: dict[str, str]) -> Audience:
        said = meta.get("kb:audience")
        if said is None:
            return self._unsaid
        try:
            return Audience(said)
        except ValueError as error:
            raise PageError(f"kb:audience is {said!r}; write public or internal") from error


def _meta_of(soup: BeautifulSoup) -> dict[str, str]:
    """Contents of the `meta` elements by name. Of two audiences the stricter one counts."""
    values: dict[str, str] = {}
    for tag in soup.find_all("meta"):
        name, content = str(tag.get("name") or "").strip().lower(), one_line(str(tag.get("content") or ""))
        if name == "kb:audience" and name in values and values[name] != content:
            content = Audience.INTERNAL.value
        if name:
            values[name] = content
    return values


def _list_of(soup: BeautifulSoup, name: str) -> tuple[str, ...]:
    """The contents of all `meta` elements of this name: one value each, so a value may hold a comma."""
    values = (one_line(str(tag.get("content") or "")) for tag in soup.find_all("meta", attrs={"name": f"kb:{name}"}))
    return tuple(filter(None, values))


def _body_of(soup: BeautifulSoup) -> Tag:
    """The element that holds the article: `main`, a lone `article`, or the body without its frame."""
    for found in (soup.find("main"), soup.find(role="main")):
        if isinstance(found, Tag):
            return found
    articles = soup.find_all("article")
    if len(articles) == 1:
        return articles[0]
    body = soup.body or soup
    for frame in body.find_all(["header", "footer", "aside", "nav"], recursive=False):
        frame.decompose()
    return body


def _title_of(soup: BeautifulSoup, body: Tag) -> str:
    first = body.find(HEADINGS)
    if isinstance(first, Tag) and first.name == "h1" and (words := one_line(first.get_text(" "))):
        return words
    return one_line(soup.title.get_text()) if soup.title else ""


def _confidence_of(meta: dict[str, str]) -> Confidence | None:
    try:
        return Confidence(meta["kb:confidence"]) if meta.get("kb:confidence") else None
    except ValueError as error:
        raise PageError(f"kb:confidence is {meta['kb:confidence']!r}; see docs/articles.md") from error
