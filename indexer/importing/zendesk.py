"""Zendesk Guide by its Help Center API: articles, sections and categories of one locale.

Source: https://developer.zendesk.com/api-reference/help_center/help-center-api/articles/ (cursor pagination,
`user_segment_id` null for everyone, `draft`, `outdated`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from indexer.errors import PageError, SourceError
from indexer.importing.fetching import Credentials, Fetcher, check_base
from indexer.importing.html import one_line
from indexer.importing.pages import Attachment, LeftOut, Link, Page, PageRef, Source
from indexer.importing.rendering import labels_to_tags
from indexer.metadata import Audience, Confidence

_PAGE_SIZE = "100"
_ARTICLE_LINK = re.compile(r"/hc/(?:[a-z]{2,3}(?:-[a-z0-9]+)*/)?articles/(\d+)", re.IGNORECASE)
_VERSION_FIELDS = (
    "title", "name", "body", "draft", "outdated", "user_segment_id", "user_segment_ids", "section_id", "label_names",
    "locale", "edited_at", "html_url",
)  # fmt: skip


class ZendeskGuide(Source):
    """The articles of one help center in one locale."""

    kind = "zendesk-guide"
    prefix = "zendesk"

    def __init__(
        self, address: str, credentials: Credentials, locale: str = "", fetcher: Fetcher | None = None
    ) -> None:
        """`locale` is the help center's default one if empty. Raises SourceError for an address that will not do."""
        base = check_base(address)
        if locale and not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", locale):
            raise SourceError(f"{locale!r} is not a locale; write one such as en-us")
        self._fetcher = fetcher or Fetcher(base, credentials.header("/token"))
        self._root = f"api/v2/help_center/{locale.lower()}/" if locale else "api/v2/help_center/"
        self.place = f"{base}/{locale.lower()}".rstrip("/")
        self.left_out: list[LeftOut] = []
        self._articles: dict[str, dict[str, Any]] = {}
        self._sections: dict[str, dict[str, Any]] = {}
        self._categories: dict[str, dict[str, Any]] = {}

    def list_pages(self) -> list[PageRef]:
        self._sections = {str(item["id"]): item for item in self._list("sections")}
        self._categories = {str(item["id"]): item for item in self._list("categories")}
        refs = []
        for article in self._list("articles"):
            page_id = str(article["id"])
            self._articles[page_id] = article
            names = [self._name(self._section(article)), self._name(self._category(article))]
            told = json.dumps([{key: article.get(key) for key in _VERSION_FIELDS}, names], sort_keys=True)
            version = hashlib.sha256(told.encode()).hexdigest()[:32]
            refs.append(PageRef(page_id, version, _title(article), audience_of_article(article)))
        return refs

    def fetch_page(self, ref: PageRef) -> Page:
        article = self._articles[ref.id]
        products, tags = labels_to_tags([str(label) for label in article.get("label_names") or ()])
        front = {
            "category": self._name(self._category(article)),
            "section": self._name(self._section(article)),
            "locale": str(article.get("locale") or ""),
            "outdated": True if article.get("outdated") else "",
        }
        return Page(
            title=_title(article),
            audience=audience_of_article(article),
            html=str(article.get("body") or ""),
            confidence=_confidence(article),
            products=products,
            tags=tags,
            url=str(article.get("html_url") or ""),
            updated=str(article.get("edited_at") or article.get("updated_at") or "")[:10],
            attachments=tuple(self._attachments(ref.id)),
            front={key: value for key, value in front.items() if value},
        )

    def find_link(self, href: str, page_id: str) -> Link | None:
        try:
            parts = urlsplit(href)
            page = urlsplit(str(self._articles.get(page_id, {}).get("html_url") or ""))
        except ValueError:
            return None
        match = _ARTICLE_LINK.search(parts.path)
        own = {urlsplit(self.place).netloc, page.netloc, ""}
        return Link(match[1], parts.fragment) if match and parts.netloc in own else None

    def read_attachment(self, attachment: Attachment) -> Iterator[bytes]:
        return self._fetcher.stream(attachment.address)

    def _attachments(self, page_id: str) -> Iterator[Attachment]:
        for item in self._list(f"articles/{page_id}/attachments", "article_attachments", of_page=True):
            if not item.get("content_url"):
                continue
            size = item.get("size")
            yield Attachment(
                one_line(str(item.get("file_name") or item["id"])),
                size if isinstance(size, int) else None,
                str(item["content_url"]),
            )

    def _list(self, what: str, key: str = "", of_page: bool = False) -> list[dict[str, Any]]:
        """Every item of a listing, page by page. Raises SourceError, or PageError for a listing `of_page`."""
        path = f"{'api/v2/help_center/' if of_page else self._root}{what}.json"
        params: dict[str, str] | None = {"page[size]": _PAGE_SIZE}
        items: list[dict[str, Any]] = []
        seen: set[str] = set()
        while path:
            if path in seen:
                raise SourceError(f"{self.place} gives the same page of {what} again and again; try again later")
            seen.add(path)
            try:
                answer, _ = self._fetcher.get_json(path, params, of_page=of_page)
            except PageError as error:
                if of_page:
                    raise
                raise SourceError(f"{self.place} has no {what}: {error}; check the address and the locale") from error
            try:
                items += answer[key or what]
                path, params = _next_page(answer), None
            except (KeyError, TypeError, AttributeError) as error:
                raise SourceError(f"{self.place} answered with something else than {what}; is it a Zendesk?") from error
        return items

    def _section(self, article: dict[str, Any]) -> dict[str, Any] | None:
        return self._sections.get(str(article.get("section_id")))

    def _category(self, article: dict[str, Any]) -> dict[str, Any] | None:
        return self._categories.get(str((self._section(article) or {}).get("category_id")))

    @staticmethod
    def _name(item: dict[str, Any] | None) -> str:
        return one_line(str((item or {}).get("name") or ""))


def _next_page(answer: dict[str, Any]) -> str:
    """Address of the page after this one; empty on the last. Both of Zendesk's pagination styles."""
    if "meta" in answer:
        return str(answer["links"]["next"]) if answer["meta"]["has_more"] else ""
    return str(answer.get("next_page") or "")


def audience_of_article(article: dict[str, Any]) -> Audience:
    """Public only if published and open to everyone: `user_segment_id` present and null, and no further segments."""
    everyone = "user_segment_id" in article and article["user_segment_id"] is None
    segments = article.get("user_segment_ids")
    published = article.get("draft") is False
    return Audience.PUBLIC if everyone and not segments and published else Audience.INTERNAL


def _confidence(article: dict[str, Any]) -> Confidence:
    if article.get("draft") is not False:
        return Confidence.WORK_IN_PROGRESS
    return Confidence.NOT_VALIDATED if article.get("outdated") else Confidence.VALIDATED


def _title(article: dict[str, Any]) -> str:
    return one_line(str(article.get("title") or article.get("name") or f"Article {article['id']}"))
