"""What an MCP tool asks the service for, as the holder of one request's credential may have it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from starlette.requests import Request

from indexer.articles import Article
from indexer.source import Span
from service.answers import Answer, Citation, Question
from service.http.answering import ClientGone
from service.http.links import citation_url, links_within, own_address
from service.http.problems import ProblemError
from service.http.routes_search import ask, triage_for
from service.http.security import Caller
from service.http.services import Services
from service.mcp_server import ToolRefused
from service.mcp_tools import public_lines
from service.triage import Triage


class HttpDesk:
    """What the holder of one request's credential may see."""

    def __init__(self, services: Services, request: Request) -> None:
        self._services = services
        self._caller: Caller = request.scope["state"]["caller"]
        self._base = own_address(services.settings, request)

    async def ask(self, question: Question, products: list[str]) -> Answer:
        with _told_to_caller():
            return await ask(self._services, self._caller, question, products)

    async def triage(self, question: Question, products: list[str], answer: Answer) -> Triage | None:
        with _told_to_caller():
            return await triage_for(self._services, self._caller, question, products, answer)

    async def article(self, name: str) -> Article:
        with _told_to_caller():
            return self._services.library.assistant.article(name, self._caller.scope())

    def visible_text(self, article: Article, span: Span) -> str:
        if self._caller.is_internal:
            return article.source.slice(span)
        return public_lines(article, span, links_within(self._services.library.assistant, self._caller.scope()))

    def address(self, citation: Citation) -> str:
        return self._base + citation_url(citation)


@contextlib.contextmanager
def _told_to_caller() -> Iterator[None]:
    """Problems of the service as refusals of a tool, which an assistant can read."""
    try:
        yield
    except ProblemError as problem:
        raise ToolRefused(f"{problem.kind.title}: {problem.detail}") from problem
    except ClientGone as error:
        raise ToolRefused("the caller hung up") from error
