"""A Confluence space export: HTML (one file a page) or XML (`entities.xml`), as a ZIP file or unpacked.

Source: https://support.atlassian.com/confluence-cloud/docs/export-content-to-word-pdf-html-and-xml/. An HTML export
does not tell which pages are restricted, so its pages are internal. An XML export does, by `ContentPermissionSet`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from posixpath import dirname, join, normpath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from indexer.errors import PageError, SourceError
from indexer.importing.archives import (
    MAX_TOTAL_BYTES,
    UNREADABLE,
    Archive,
    open_archive,
    read_member,
    stream_member,
)
from indexer.importing.confluence import Titles, find_confluence_link
from indexer.importing.confluence_storage import storage_to_html
from indexer.importing.html import one_line, parse_html
from indexer.importing.pages import Attachment, LeftOut, Link, Page, PageRef, Source
from indexer.importing.rendering import labels_to_tags
from indexer.metadata import Audience

_PAGE_FILE = re.compile(r"(?:.*_)?(\d+)\.html")
_SIZE = re.compile(r"\(([\w./+-]+)\)")
_ENTITIES = "entities.xml"


def open_confluence_export(path: Path, unrestricted: Audience = Audience.INTERNAL) -> Source:
    """The importer for the export at `path`.

    Raises:
        SourceError: it is no Confluence export, or an HTML export whose pages should be public.
    """
    archive = open_archive(path)
    entities = [name for name in archive.names() if PurePosixPath(name).name == _ENTITIES]
    if entities:
        return ConfluenceXmlExport(path, archive, entities[0], unrestricted)
    if unrestricted is Audience.PUBLIC:
        raise SourceError(
            "an HTML export does not say which pages are restricted; export as XML, or import by the REST API"
        )
    return ConfluenceHtmlExport(path, archive)


class ConfluenceHtmlExport(Source):
    """Pages of an HTML export. All internal."""

    kind = "confluence"
    prefix = "confluence"

    def __init__(self, path: Path, archive: Archive) -> None:
        self._names = frozenset(archive.names())
        folders = {PurePosixPath(name).parts[0] for name in self._names if "/" in name and name.endswith(".html")}
        self.place = f"HTML export of space {folders.pop() if len(folders) == 1 else path.stem}"
        self.left_out: list[LeftOut] = []
        self._archive = archive
        self._files: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def list_pages(self) -> list[PageRef]:
        refs = []
        for name in self._archive.names():
            match = _PAGE_FILE.fullmatch(PurePosixPath(name).name)
            if match is None or "attachments" in PurePosixPath(name).parts:
                continue
            if match[1] in self._files:
                raise SourceError(f"the export holds page {match[1]} twice: {self._files[match[1]]} and {name}")
            self._files[match[1]], self._ids[name] = name, match[1]
            try:
                data = read_member(self._archive, name)
            except PageError as error:
                raise SourceError(f"{name} {error}") from error
            title = _export_title(data)
            refs.append(PageRef(match[1], hashlib.sha256(data).hexdigest()[:32], title, Audience.INTERNAL))
        if not refs:
            raise SourceError(f"{self.place} holds no Confluence pages; name the ZIP file or folder of a space export")
        return refs

    def fetch_page(self, ref: PageRef) -> Page:
        name = self._files[ref.id]
        soup = parse_html(read_member(self._archive, name).decode("utf-8", "replace"))
        body = soup.find(id="main-content")
        if not isinstance(body, Tag):
            raise PageError("has no main-content; it is not a page of a Confluence export")
        attachments = tuple(self._attachments(soup, name))
        _plain_macros(body)
        return Page(
            title=ref.title,
            audience=Audience.INTERNAL,
            html=str(body),
            updated=_last_modified(soup),
            attachments=attachments,
        )

    def find_link(self, href: str, page_id: str) -> Link | None:
        try:
            parts = urlsplit(href)
        except ValueError:
            return None
        if parts.scheme or parts.netloc:
            return None
        target = normpath(join(dirname(self._files.get(page_id, "")), unquote(parts.path)))
        if target in self._ids:
            return Link(self._ids[target], parts.fragment)
        return find_confluence_link(href, Titles())

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        return stream_member(self._archive, attachment.address, MAX_TOTAL_BYTES)

    def _attachments(self, soup: BeautifulSoup, page: str) -> Iterator[Attachment]:
        for link in soup.select(".greybox a[href]"):
            name = normpath(join(dirname(page), unquote(str(link["href"]))))
            if name in self._names:
                yield Attachment(one_line(link.get_text()), self._archive.size_bytes(name), name)


def _export_title(data: bytes) -> str:
    soup = BeautifulSoup(data.decode("utf-8", "replace"), "lxml")
    heading = soup.find(id="title-text") or soup.find("title")
    title = one_line(heading.get_text()) if isinstance(heading, Tag) else ""
    space, found, rest = title.partition(" : ")
    return rest if found and rest else space or "Untitled page"


def _last_modified(soup: BeautifulSoup) -> str:
    """ISO date of the line "last modified on Mar 01, 2024"; empty if it is written otherwise."""
    line = soup.find(class_="page-metadata")
    match = re.search(r"\b([A-Z][a-z]{2} \d{1,2}, \d{4})\s*$", one_line(line.get_text()) if line else "")
    try:
        return datetime.strptime(match[1], "%b %d, %Y").date().isoformat() if match else ""
    except ValueError:
        return ""


def _plain_macros(body: Tag) -> None:
    """The HTML that macros were exported as, in the form that the converter knows."""
    for toc in body.select(".toc-macro, .aui-icon, .expand-control-icon, .hidden"):
        toc.decompose()
    for panel in body.select(".confluence-information-macro"):
        kind = next((str(c).rpartition("-")[2] for c in panel.get("class") or () if str(c).count("-") == 3), "info")
        names = {"information": "Info", "note": "Note", "warning": "Warning", "tip": "Tip"}
        label = BeautifulSoup("<p><strong></strong></p>", "lxml").p
        assert label is not None
        strong = label.strong
        assert strong is not None
        title = panel.find(class_="title")
        strong.string = names.get(kind, "Note")
        if isinstance(title, Tag):
            strong.string = f"{names.get(kind, 'Note')}: {one_line(title.get_text())}"
            title.decompose()
        panel.name = "blockquote"
        panel.insert(0, label)
    for control in body.select(".expand-control, .codeHeader, .panelHeader"):
        words = one_line(control.get_text())
        control.clear()
        fresh = BeautifulSoup("<p><strong></strong></p>", "lxml").p
        if words and fresh is not None and fresh.strong is not None:
            fresh.strong.string = words
            control.append(fresh)


@dataclass
class _Entities:
    """What is kept of `entities.xml`, by id."""

    pages: dict[str, dict[str, str]] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    labellings: list[tuple[str, str]] = field(default_factory=list)
    restricted: set[str] = field(default_factory=set)
    attachments: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)


class ConfluenceXmlExport(Source):
    """Pages of an XML export: current ones; drafts, old versions and the bin are left out."""

    kind = "confluence"
    prefix = "confluence"

    def __init__(self, path: Path, archive: Archive, entities: str, unrestricted: Audience) -> None:
        self.place = f"XML export of space {_space_key(archive, entities) or path.stem}"
        self.left_out: list[LeftOut] = []
        self._archive, self._name, self._unrestricted = archive, entities, unrestricted
        self._all = _Entities()
        self._titles = Titles()

    def list_pages(self) -> list[PageRef]:
        self._all = _read_entities(self._archive, self._name)
        labels: dict[str, list[str]] = {}
        for content, label in self._all.labellings:
            if label in self._all.labels:
                labels.setdefault(content, []).append(self._all.labels[label])
        refs = []
        for page_id, page in list(self._all.pages.items()):
            title = one_line(page.get("title", "")) or "Untitled page"
            if page.get("originalVersion") or page.get("originalVersionId"):
                del self._all.pages[page_id]
                continue
            if (status := page.get("contentStatus", "current")) != "current":
                self.left_out.append(LeftOut(page_id, title, f"is {status}"))
                continue
            page["labels"] = "\n".join(sorted(labels.get(page_id, ())))
            space = self._all.spaces.get(page.get("space", ""), "")
            self._titles.add(space, title, page_id)
            told = [title, page.get("labels", ""), self._all.bodies.get(page_id, ""), page.get("version", "")]
            version = hashlib.sha256("\0".join(told).encode()).hexdigest()[:32]
            refs.append(PageRef(page_id, version, title, self._audience(page_id)))
        if not refs:
            raise SourceError(f"{self.place} holds no current pages")
        return refs

    def fetch_page(self, ref: PageRef) -> Page:
        page = self._all.pages[ref.id]
        space = self._all.spaces.get(page.get("space", ""), "")
        html, unknown = storage_to_html(self._all.bodies.get(ref.id, ""), space)
        products, tags = labels_to_tags(page.get("labels", "").split("\n"))
        return Page(
            title=ref.title,
            audience=ref.audience or Audience.INTERNAL,
            html=html,
            products=products,
            tags=tags,
            updated=page.get("lastModificationDate", "")[:10],
            attachments=tuple(self._attachments(ref.id)),
            front={"space": space} if space else {},
            warnings=tuple(f"macro {name!r} has no plain form; left out" for name in unknown),
        )

    def find_link(self, href: str, page_id: str) -> Link | None:
        return find_confluence_link(href, self._titles)

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        return stream_member(self._archive, attachment.address, MAX_TOTAL_BYTES)

    def _attachments(self, page_id: str) -> Iterator[Attachment]:
        folder = dirname(self._name)
        for item in self._all.attachments.get(page_id, ()):
            size = item.get("fileSize") or item.get("FILESIZE") or ""
            name = join(folder, "attachments", page_id, item["id"], item.get("version") or "1")
            title = one_line(item.get("title") or item.get("fileName") or item["id"])
            yield Attachment(title, int(size) if size.isdecimal() else None, name)

    def _audience(self, page_id: str) -> Audience:
        """Restrictions are inherited; a parent that is not in the export counts as restricted."""
        seen: set[str] = set()
        current = page_id
        while current:
            if current in self._all.restricted or current in seen or current not in self._all.pages:
                return Audience.INTERNAL
            seen.add(current)
            current = self._all.pages[current].get("parent", "")
        return self._unrestricted


def _space_key(archive: Archive, entities: str) -> str:
    """The space that the export's descriptor names; empty if there is none."""
    name = join(dirname(entities), "exportDescriptor.properties")
    if name not in archive.names():
        return ""
    try:
        match = re.search(rb"^spaceKey=(\S+)", read_member(archive, name), re.MULTILINE)
    except PageError as error:
        raise SourceError(f"{name} {error}; export the space again") from error
    return match[1].decode("ascii", "replace") if match else ""


def _read_entities(archive: Archive, name: str) -> _Entities:
    """One pass over `entities.xml`; no document type, no external or internal entities beyond XML's own.

    Raises:
        SourceError: it is not well-formed, or too large.
    """
    from lxml import etree

    found = _Entities()
    try:
        with archive.open(name) as file:
            events = etree.iterparse(
                _Bounded(file), events=("end",), tag="object", resolve_entities=False, no_network=True, load_dtd=False
            )
            for _, element in events:
                if element.getroottree().docinfo.doctype:
                    raise SourceError(f"{name} declares a document type; that is no Confluence export")
                _keep(found, element)
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
    except (etree.XMLSyntaxError, PageError, *UNREADABLE) as error:
        raise SourceError(f"{name} cannot be read ({error}); export the space again") from error
    return found


class _Bounded:
    """A file that ends in an error past `MAX_TOTAL_BYTES`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._size_bytes = file, 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._size_bytes += len(piece)
        if self._size_bytes > MAX_TOTAL_BYTES:
            raise SourceError(f"{_ENTITIES} is larger than {MAX_TOTAL_BYTES // 1024**3} GiB")
        return piece


def _keep(found: _Entities, element: Any) -> None:
    kind, values = element.get("class"), _values(element)
    page_id = values["id"]
    if kind == "Page":
        found.pages[page_id] = values
    elif kind == "BodyContent" and values.get("content"):
        found.bodies[values["content"]] = values.get("body", "").replace("]] >", "]]>")
    elif kind == "Label" and values.get("namespace", "global") == "global":
        found.labels[page_id] = values.get("name", "")
    elif kind == "Labelling" and values.get("content") and values.get("label"):
        found.labellings.append((values["content"], values["label"]))
    elif kind == "ContentPermissionSet" and values.get("type", "View").casefold() == "view":
        found.restricted.add(values.get("owningContent", ""))
    elif kind == "Attachment" and not values.get("originalVersion"):
        owner = values.get("containerContent") or values.get("content", "")
        found.attachments.setdefault(owner, []).append(values)
    elif kind == "Space":
        found.spaces[page_id] = values.get("key", "")


def _values(element: Any) -> dict[str, str]:
    """Properties by name: text, or the id of the object that they refer to."""
    values = {"id": ""}
    for child in element:
        name = child.get("name") or ""
        if child.tag == "id":
            values["id"] = (child.text or "").strip()
        elif child.tag == "property":
            reference = child.find("id")
            values[name] = (reference.text or "").strip() if reference is not None else child.text or ""
    return values
