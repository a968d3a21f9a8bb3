"""Confluence Cloud by its REST API v2: the current pages of one space in storage format.

Source: https://developer.atlassian.com/cloud/confluence/rest/v2/ (cursor pagination by `_links.next`), and for read
restrictions, which version 2 does not tell, `/wiki/rest/api/content/{id}/restriction/byOperation/read` of version 1.

Restrictions are inherited: a page below a restricted one is restricted too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

from indexer.errors import PageError, SourceError
from indexer.importing.confluence_storage import PAGE_SCHEME, storage_to_html
from indexer.importing.fetching import Credentials, Fetcher, check_base
from indexer.importing.html import one_line
from indexer.importing.pages import Attachment, LeftOut, Link, Page, PageRef, PageUnavailable, Source
from indexer.importing.rendering import labels_to_tags
from indexer.metadata import Audience

_PAGE_SIZE = "250"
_PAGE_PATH = re.compile(r"/spaces/[^/]+/pages/(?:edit-v2/)?(\d+)")
_DISPLAY_PATH = re.compile(r"/display/([^/]+)/([^/?#]+)")
_PAGE_ID = re.compile(r"(?:^|[?&])pageId=(\d+)")


@dataclass
class Titles:
    """Page ids by space key and title, for links that name a page by them."""

    ids: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, space: str, title: str, page_id: str) -> None:
        self.ids[space.casefold(), one_line(title).casefold()] = page_id

    def find(self, space: str, title: str) -> str | None:
        return self.ids.get((space.casefold(), one_line(title).casefold()))


def find_confluence_link(href: str, titles: Titles, host: str = "") -> Link | None:
    """The page that an address means: `kb-page:`, `/spaces/KEY/pages/ID`, `/display/KEY/Title` or `?pageId=ID`."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    if href.startswith(PAGE_SCHEME):
        space, _, title = parts.path.partition("/")
        page_id = titles.find(unquote(space), unquote(title))
        return Link(page_id or f"{unquote(space)}/{unquote(title)}", unquote(parts.fragment))
    if parts.netloc not in {"", host}:
        return None
    if match := _PAGE_PATH.search(parts.path) or _PAGE_ID.search(parts.query):
        return Link(match[1], parts.fragment)
    if match := _DISPLAY_PATH.search(parts.path):
        space, title = unquote_plus(match[1]), unquote_plus(match[2])
        return Link(titles.find(space, title) or f"{space}/{title}", parts.fragment)
    return None


class ConfluenceSpace(Source):
    """One space of a Confluence Cloud site.

    Pages are internal, unless the operator says that the space is open to the public: then those without a read
    restriction of their own or of a page above them are public.
    """

    kind = "confluence"
    prefix = "confluence"

    def __init__(
        self,
        address: str,
        space: str,
        credentials: Credentials,
        unrestricted: Audience = Audience.INTERNAL,
        fetcher: Fetcher | None = None,
    ) -> None:
        """`unrestricted` is the audience of pages that no restriction applies to."""
        base = check_base(address).removesuffix("/wiki")
        if not re.fullmatch(r"~?[\w.-]{1,255}", space):
            raise SourceError(f"{space!r} is not a space key; it stands in the address: /wiki/spaces/KEY/")
        self._fetcher = fetcher or Fetcher(base, credentials.header())
        self._space, self._unrestricted = space, unrestricted
        self.place = f"{base}/wiki/spaces/{space}"
        self.left_out: list[LeftOut] = []
        self._titles = Titles()
        self._pages: dict[str, dict[str, Any]] = {}
        self._restricted: dict[str, bool] = {}

    def list_pages(self) -> list[PageRef]:
        spaces = list(self._items("wiki/api/v2/spaces", {"keys": self._space}))
        if len(spaces) != 1:
            raise SourceError(f"{self.place} is not there, or the account may not see it")
        listed = self._items(f"wiki/api/v2/spaces/{spaces[0]['id']}/pages", {"status": "current", "limit": _PAGE_SIZE})
        for page in listed:
            if page.get("status", "current") != "current":
                self.left_out.append(LeftOut(str(page["id"]), str(page.get("title")), f"is {page['status']}"))
                continue
            self._pages[str(page["id"])] = page
            self._titles.add(self._space, str(page["title"]), str(page["id"]))
        return [
            PageRef(page_id, _version_of(page), one_line(str(page["title"])), self._audience(page_id))
            for page_id, page in self._pages.items()
        ]

    def fetch_page(self, ref: PageRef) -> Page:
        answer, _ = self._fetcher.get_json(
            f"wiki/api/v2/pages/{ref.id}", {"body-format": "storage", "include-labels": "true"}, of_page=True
        )
        try:
            html, unknown = storage_to_html(str(answer["body"]["storage"]["value"]), self._space)
            if answer.get("status", "current") != "current":
                raise PageError(f"is {answer['status']} now")
            labels = answer.get("labels", {}).get("results")
            if labels is None:
                labels = self._items(f"wiki/api/v2/pages/{ref.id}/labels", {"limit": _PAGE_SIZE}, of_page=True)
            products, tags = labels_to_tags([str(label["name"]) for label in labels])
            return Page(
                title=one_line(str(answer["title"])),
                audience=ref.audience or Audience.INTERNAL,
                html=html,
                products=products,
                tags=tags,
                url=f"{self._fetcher.base}/wiki{answer['_links']['webui']}",
                updated=str(answer["version"]["createdAt"])[:10],
                attachments=tuple(self._attachments(ref.id)),
                front={"space": self._space},
                warnings=tuple(f"macro {name!r} has no plain form; left out" for name in unknown),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise PageError(f"came without {error}; is this Confluence Cloud?") from error

    def find_link(self, href: str, page_id: str) -> Link | None:
        return find_confluence_link(href, self._titles, urlsplit(self._fetcher.base).netloc)

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        return self._fetcher.stream(attachment.address)

    def _attachments(self, page_id: str) -> Iterator[Attachment]:
        for item in self._items(f"wiki/api/v2/pages/{page_id}/attachments", {"limit": _PAGE_SIZE}, of_page=True):
            size = item.get("fileSize")
            yield Attachment(
                one_line(str(item["title"])),
                size if isinstance(size, int) else None,
                f"{self._fetcher.base}/wiki{item['downloadLink']}",
            )

    def _audience(self, page_id: str) -> Audience:
        if self._unrestricted is Audience.INTERNAL or self._is_restricted(page_id):
            return Audience.INTERNAL
        return Audience.PUBLIC

    def _is_restricted(self, page_id: str) -> bool:
        """Whether a read restriction applies, own or inherited. What cannot be found out counts as restricted."""
        chain: list[str] = []
        current, verdict = page_id, False
        while current and current not in self._restricted:
            if current in chain:
                break
            chain.append(current)
            if self._has_restriction(current):
                verdict = True
                break
            above = self._parent_of(current)
            if above is None:
                verdict = True
                break
            current = above
        else:
            verdict = self._restricted.get(current, False)
        self._restricted.update(dict.fromkeys(chain, verdict))
        return verdict

    def _parent_of(self, page_id: str) -> str | None:
        """Id of the page or folder above; empty at the top; None if that cannot be found out."""
        page = self._pages.get(page_id)
        if page is None:
            try:
                page, _ = self._fetcher.get_json(f"wiki/api/v2/folders/{page_id}", of_page=True)
            except PageUnavailable as error:
                raise SourceError(str(error)) from error
            except PageError:  # a whiteboard, an archived page, a folder that this account may not see
                return None
        return str(page.get("parentId") or "") if isinstance(page, dict) and "parentId" in page else None

    def _has_restriction(self, page_id: str) -> bool:
        try:
            answer, _ = self._fetcher.get_json(
                f"wiki/rest/api/content/{page_id}/restriction/byOperation/read",
                {"expand": "restrictions.user,restrictions.group"},
                of_page=True,
            )
            found = answer["restrictions"]
            return any(_count(found[kind]) for kind in ("user", "group"))
        except PageUnavailable as error:
            raise SourceError(str(error)) from error
        except (PageError, KeyError, TypeError):
            return True

    def _items(self, path: str, params: dict[str, str], of_page: bool = False) -> Iterator[dict[str, Any]]:
        """Every item of a listing. Raises SourceError, or PageError for a listing `of_page`."""
        following, query = path, dict(params) or None
        seen: set[str] = set()
        while following:
            if following in seen:
                raise SourceError(f"{self.place} gives the same page of a list again and again; try again later")
            seen.add(following)
            try:
                answer, _ = self._fetcher.get_json(following, query, of_page=of_page)
                items, links = answer["results"], answer.get("_links") or {}
            except PageError as error:
                if of_page:
                    raise
                raise SourceError(f"{self.place}: the list {error}; check the address and the space key") from error
            except (KeyError, TypeError, AttributeError) as error:
                raise SourceError(
                    f"{self.place} answered with something else than a list; check the address"
                ) from error
            yield from items
            following, query = str(links.get("next") or ""), None


def _version_of(page: dict[str, Any]) -> str:
    told = [page.get("version", {}).get("number"), page.get("title"), page.get("parentId"), page.get("status")]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def _count(found: dict[str, Any]) -> int:
    return len(found["results"]) or int(found.get("size") or 0)
