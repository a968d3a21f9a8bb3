"""The engineer's console: pages rendered here, made livelier by small ES modules, complete without them."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from indexer.errors import InputError
from indexer.metadata import ArticleType
from service.answers import MAX_QUERY_CHARS
from service.facets import Filters, read_filters
from service.http.console_article import article_view
from service.http.console_search import SearchView, search
from service.http.links import article_url, own_address
from service.http.pages import page
from service.http.problems import ProblemError
from service.http.routes_articles import cache_control
from service.http.security import Caller, check_own_page
from service.http.services import CallerDep, Services, ServicesDep
from service.neighbours import find_neighbours
from service.queries import shorten_text

router = APIRouter(include_in_schema=False)

LONGEST_IN_ADDRESS = 1500
"""Characters that a text may take in the page's address, percent-encoded: proxies pass on no more than a few thousand.
A longer one cannot be shared by its address."""

_MAX_GUIDES = 8

EXAMPLES = (
    "every request answers 401 invalid_token since we rotated the API key",
    "ORA-12154: TNS:could not resolve the connect identifier specified",
    "webhooks stopped arriving, our endpoint returned 410 for a while",
    "our connector gets FATAL: sorry, too many clients already at busy hours",
)


@router.get("/")
async def console(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    q: str = "",
) -> Response:
    """The console; with `?q=` complete with its results, narrowed by `?product=` and the other facets."""
    return await _console(request, services, caller, q, read_filters(_pairs(request), is_internal=caller.is_internal))


@router.post("/")
async def console_form(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
) -> Response:
    """The search form without script. A short text goes on to its address; a long one stays out of it."""
    check_own_page(request)
    form = parse_qs((await request.body()).decode("utf-8", "replace"))
    text = form.get("q", [""])[0].replace("\r\n", "\n")
    pairs = [] if "clear" in form else [(name, value) for name, values in form.items() for value in values]
    filters = read_filters(pairs, is_internal=caller.is_internal)
    if len(urlencode({"q": text})) > LONGEST_IN_ADDRESS:
        return await _console(request, services, caller, text, filters)
    query = urlencode([("q", text), *filters.chosen]) if text.strip() else ""
    return RedirectResponse(f"/?{query}" if query else "/", 303)


@router.post("/results")
async def results_fragment(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
) -> Response:
    """The results for a text, as the piece of the page that shows them; sent by the page's script."""
    text = (await request.body()).decode("utf-8", "replace")
    filters = read_filters(_pairs(request), is_internal=caller.is_internal)
    results, status, headers = await _results(request, services, caller, text, filters)
    response = page("results.html", caller, status, **_shown(services, caller, text, results))
    response.headers.update(headers)
    return response


@router.get("/articles/{name:path}")
async def article_page(
    name: str,
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    lines: str = "",
) -> Response:
    """An article, with the cited lines marked."""
    assistant = services.library.assistant
    article = assistant.article(name, caller.scope())
    try:
        near = await services.pool.run(lambda: find_neighbours(article, assistant, caller.scope()))
    except ProblemError:  # busy: an article without its neighbours is still an article
        near = []
    base = own_address(services.settings, request)
    view = await asyncio.to_thread(article_view, article, assistant, caller, lines, base, near)
    response = page("article.html", caller, article=view)
    if caller.means == "nothing" and not caller.is_internal:
        # What a sign-in opened is not stored: whoever comes to this browser after it goes back in vain.
        response.headers["Cache-Control"] = cache_control(caller)
    response.headers["Vary"] = "Authorization, Cookie"
    return response


async def _console(request: Request, services: Services, caller: Caller, text: str, filters: Filters) -> Response:
    results, status, headers = await _results(request, services, caller, text, filters)
    heading = "Search" if results is None else f"{' '.join(text[:60].split())} · Search"
    response = page("console.html", caller, status, heading=heading, **_shown(services, caller, text, results))
    response.headers.update(headers)
    return response


async def _results(
    request: Request, services: Services, caller: Caller, text: str, filters: Filters
) -> tuple[SearchView | dict[str, str] | None, int, dict[str, str]]:
    """What was found, or a title and a detail of what went wrong; None without a text. With its status and headers.

    Of a text that is too long head and tail are read, which `_shown` tells.
    """
    if not text.strip():
        return None, 200, {}
    try:
        read = shorten_text(text, MAX_QUERY_CHARS).text
        return await search(services, caller, read, filters, own_address(services.settings, request)), 200, {}
    except ProblemError as problem:
        return {"error": problem.kind.title, "detail": problem.detail}, problem.kind.status, problem.headers
    except InputError as error:
        return {"error": "This text cannot be searched", "detail": str(error)}, 422, {}


def _shown(services: Services, caller: Caller, text: str, results: Any) -> dict[str, Any]:
    return {
        "q": text,
        "read": shorten_text(text, MAX_QUERY_CHARS),
        "results": results,
        "examples": EXAMPLES,
        "guides": _guides(services, caller) if results is None else [],
        "longest": LONGEST_IN_ADDRESS,
    }


def _guides(services: Services, caller: Caller) -> list[tuple[str, str]]:
    """Titles and addresses of the guides for the first minutes, which whoever is on call wants without a search."""
    if not caller.is_internal or not services.library.is_ready:
        return []
    cards = services.library.assistant.articles(caller.scope())
    return [(card.title, article_url(card.path)) for card in cards if card.type == ArticleType.TRIAGE][:_MAX_GUIDES]


def _pairs(request: Request) -> list[tuple[str, str]]:
    return request.query_params.multi_items()
