"""What an importer says of a foreign knowledge base: which pages there are, and what one of them holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from indexer.errors import PageError
from indexer.metadata import Audience, Confidence


class PageUnavailable(PageError):
    """The server did not answer for this page. Several in a row mean that it is down."""


@dataclass(frozen=True, slots=True)
class PageRef:
    """A page as the source lists it, before its text is fetched.

    Attributes:
        id: the source's own name of the page; stays the same when its title changes.
        version: differs whenever text or metadata may have changed.
        audience: who may see it; None where only the page itself tells.
        path: POSIX path that the article should have below the target folder; empty for a name made of title and id.
        content_key: equal for equal texts, so that a moved file is known again; empty where ids outlast a move.
    """

    id: str
    version: str
    title: str
    audience: Audience | None
    path: str = ""
    content_key: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that belongs to a page.

    Attributes:
        size_bytes: None where the source does not say.
        address: what `Source.read_attachment` needs to find it.
    """

    name: str
    size_bytes: int | None
    address: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page with its text: either `html` or `markdown` is set.

    Attributes:
        audience: who may see it, by the source's own rules; internal where they do not say.
        article_id: the id that the page itself carries; empty where the importer gives one.
        url: where a reader finds the page at its source; empty if nowhere.
        updated: ISO date of the last change at the source; empty if unknown.
        front: further front matter, kept as it is.
        warnings: parts that were left out, in words for the operator.
    """

    title: str
    audience: Audience
    html: str | None = None
    markdown: str | None = None
    article_id: str = ""
    summary: str = ""
    confidence: Confidence | None = None
    products: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    url: str = ""
    updated: str = ""
    attachments: tuple[Attachment, ...] = ()
    front: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another page of the same source: its id, and the fragment without `#`."""

    page_id: str
    fragment: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A page that is not imported, and why: archived, without text, in another format."""

    id: str
    name: str
    reason: str


class Source(Protocol):
    """A foreign knowledge base. Every method raises SourceError if the source as a whole cannot be read.

    Attributes:
        kind: the importer's name on the command line.
        place: what was imported from where; a target folder belongs to one place.
        prefix: begins the article ids that the importer gives.
        left_out: filled by `list_pages`.
    """

    kind: str
    place: str
    prefix: str
    left_out: list[LeftOut]

    def list_pages(self) -> list[PageRef]:
        """All pages there are now. Complete or an error: what is missing from it counts as deleted."""
        ...

    def fetch_page(self, ref: PageRef) -> Page:
        """The page with its text. Raises PageError if only this page is in trouble."""
        ...

    def find_link(self, href: str, page_id: str) -> Link | None:
        """The imported page that `href` on the page `page_id` means; None for any other address."""
        ...

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        """The attachment's bytes. Raises PageError if it cannot be had."""
        ...

    def find_renames(self, since: str) -> dict[str, str]:
        """Old page ids by new ones, since the state that `cursor` named; empty where ids outlast a move."""
        return {}

    @property
    def cursor(self) -> str:
        """Names the state of the whole source, for `find_renames` of a later run; empty if there is no such thing."""
        return ""
