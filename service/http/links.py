"""Addresses of articles in the console and in the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from indexer.errors import NotFound
from indexer.scope import Scope
from service.answers import Citation, Suggestion
from service.rendering import LinkFor, lead_links_out

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from service.assistant import Assistant
    from service.settings import Settings


def own_address(settings: Settings, request: HTTPConnection) -> str:
    """Where people reach the console, without a slash at the end: as the operator names it, or as this request did."""
    return (settings.public_url or str(request.base_url)).rstrip("/")


def article_url(path: str) -> str:
    """The console's page of an article."""
    return f"/articles/{quote(path)}"


def citation_url(citation: Citation) -> str:
    """The console's page at the cited lines."""
    fragment = f"#{quote(citation.anchor)}" if citation.anchor else ""
    return f"{article_url(citation.path)}?lines={citation.start_line}-{citation.end_line}{fragment}"


def links_within(
    assistant: Assistant, scope: Scope, address: Callable[[str], str] = article_url
) -> Callable[[str], str | None]:
    """Addresses of the articles inside `scope`, and None for all others."""

    def link_for(path: str) -> str | None:
        try:
            return address(assistant.article(path, scope).path)
        except NotFound:
            return None

    return link_for


def whole_links_within(assistant: Assistant, scope: Scope, base_url: str) -> LinkFor:
    """The same for what is read elsewhere: whole addresses, below `base_url` without a slash at its end."""
    return links_within(assistant, scope, lambda path: base_url + article_url(path))


def lead_out(suggestion: Suggestion, link_for: LinkFor) -> Suggestion:
    """The suggestion as it is pasted elsewhere: links to articles in its snippets by the addresses of `link_for`."""
    snippets = (replace(one, text=lead_links_out(one.text, one.citation.path, link_for)) for one in suggestion.snippets)
    return replace(suggestion, snippets=tuple(snippets))
