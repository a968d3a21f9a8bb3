"""`/v1/articles`: what there is within the caller's scope, and one article as JSON, HTML or Markdown."""

from __future__ import annotations

import base64
import binascii
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from indexer.articles import Article
from indexer.errors import NotFound
from indexer.scope import Scope
from indexer.store import ArticleCard
from service.http.caching import content_tag, is_current
from service.http.links import links_within
from service.http.models import ArticleBody, ArticleList, ArticleSummary, Product, SectionBody, Text
from service.http.problems import ProblemError, problem_responses
from service.http.security import Caller
from service.http.services import CallerDep, ServicesDep
from service.rendering import public_markdown, render_article

if TYPE_CHECKING:
    from service.assistant import Assistant

router = APIRouter(prefix="/v1", tags=["articles"])

_PROBLEMS = problem_responses("forbidden", "not-found", "invalid", "not-ready")
Format = Literal["json", "html", "markdown"]
_MEDIA_TYPES: dict[str, Format] = {
    "application/json": "json",
    "text/html": "html",
    "text/markdown": "markdown",
    "*/*": "json",
}
_VARY = "Accept, Authorization, Cookie"


@router.get("/articles", operation_id="listArticles", responses=_PROBLEMS, summary="List articles")
def list_articles(
    *,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    cursor: Annotated[Text | None, Query(max_length=2000, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    products: Annotated[list[Product] | None, Query(max_length=20)] = None,
    type: Annotated[Text | None, Query(max_length=40, description="Only articles of this type.")] = None,
) -> ArticleList:
    """The articles that the caller may see, in path order."""
    assistant = services.library.assistant
    after = _read_cursor(cursor)
    cards = (
        card
        for card in assistant.articles(caller.scope(products or []))
        if card.path > after and (type is None or card.type == type)
    )
    page = list(islice(cards, limit + 1))
    response.headers["Cache-Control"] = "no-store"
    return ArticleList(
        articles=[ArticleSummary.of(card) for card in page[:limit]],
        next_cursor=_write_cursor(page[limit - 1].path) if len(page) > limit else None,
        index_version=assistant.index_version,
    )


@router.get(
    "/articles/{name:path}",
    operation_id="getArticle",
    responses={
        **_PROBLEMS,
        200: {
            "content": {"text/html": {"schema": {"type": "string"}}, "text/markdown": {"schema": {"type": "string"}}}
        },
        304: {"description": "Unchanged since the `ETag` in If-None-Match"},
    },
    response_model=ArticleBody,
    summary="Read an article",
)
def get_article(
    name: Text,
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    format: Annotated[Format | None, Query(description="Instead of the Accept header.")] = None,
) -> Response:
    """The article with this path or id: JSON, sanitised HTML (`text/html`) or Markdown (`text/markdown`)."""
    assistant = services.library.assistant
    scope = caller.scope()
    article = assistant.article(name, scope)
    wanted = format or choose_format(request.headers.get("accept", ""))
    etag = content_tag(assistant.index_version, caller.audience.value, wanted, article.version)
    headers = {"ETag": etag, "Cache-Control": cache_control(caller), "Vary": _VARY}
    if is_current(etag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if wanted == "markdown":
        return Response(markdown_for(article, assistant, caller), headers=headers, media_type="text/markdown")
    if wanted == "html":
        html = render_article(article, links_within(assistant, scope))
        return Response(html, headers=headers, media_type="text/html")
    body = _body(article, assistant, caller)
    return Response(body.model_dump_json(), headers=headers, media_type="application/json")


def choose_format(accept: str) -> Format:
    """The format an Accept header asks for; JSON where it names none that there is."""
    wishes: list[tuple[float, int, Format]] = []
    for position, part in enumerate(accept.split(",")):
        media_type, _, parameters = part.partition(";")
        quality = 1.0
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if (wanted := _MEDIA_TYPES.get(media_type.strip().lower())) and quality > 0:
            wishes.append((-quality, position, wanted))
    return min(wishes)[2] if wishes else "json"


def cache_control(caller: Caller) -> str:
    """Public pages may be kept for a minute; what a credential opened is asked for anew each time."""
    return "public, max-age=60" if caller.means == "nothing" and not caller.is_internal else "private, no-cache"


def markdown_for(article: Article, assistant: Assistant, caller: Caller) -> str:
    """The source, byte for byte, for the team; without what is not meant for them for everybody else."""
    if caller.is_internal:
        return article.source.text
    return public_markdown(article, links_within(assistant, caller.scope()))


def related_cards(article: Article, assistant: Assistant, scope: Scope) -> list[ArticleCard]:
    """Catalogue entries of the articles that this one names as related, as far as they are in scope."""
    wanted = set(article.meta.related)
    if not wanted:
        return []
    return [card for card in assistant.articles(scope) if {card.article_id, card.path} & wanted]


def _body(article: Article, assistant: Assistant, caller: Caller) -> ArticleBody:
    scope = caller.scope()
    card = next((card for card in assistant.articles(scope) if card.path == article.path), None)
    if card is None:
        raise NotFound("the article has just been removed")
    return ArticleBody(
        **ArticleSummary.of(card).model_dump(),
        related=[ArticleSummary.of(related) for related in related_cards(article, assistant, scope)],
        sections=[
            SectionBody(
                heading_path=list(section.heading_path),
                anchor=section.anchor,
                level=section.level,
                start_line=section.span.start_line,
                end_line=section.span.end_line,
            )
            for section in article.sections
        ],
        html=render_article(article, links_within(assistant, scope)),
        markdown=markdown_for(article, assistant, caller),
        index_version=assistant.index_version,
    )


def _write_cursor(path: str) -> str:
    return base64.urlsafe_b64encode(path.encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> str:
    if not cursor:
        return ""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ProblemError("invalid", "`cursor` is not one that this service gave out") from error
