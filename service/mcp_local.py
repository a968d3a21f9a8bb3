"""MCP on standard input and output, for an assistant on this machine."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING

from indexer.articles import Article
from indexer.metadata import Audience
from indexer.scope import INTERNAL, PUBLIC
from indexer.source import Span
from service.answers import Answer, Citation, Question
from service.http.links import citation_url, links_within
from service.http.models import AnswerBody
from service.mcp_server import make_server
from service.mcp_tools import public_lines
from service.refreshing import Refresher
from service.rendering import links_are_open
from service.triage import Triage, triage

if TYPE_CHECKING:
    from service.assistant import Assistant


class LocalDesk:
    """The desk of whoever runs the command, who can read the index anyway; the audience is chosen when it starts."""

    def __init__(self, assistant: Assistant, audience: Audience, console: str | None = None) -> None:
        """
        Args:
            console: address of a console, without a slash at the end; None where there is none.
        """
        self._assistant = assistant
        self._console = console
        self._refresher = Refresher(assistant.index_dir)
        self._is_internal = audience is Audience.INTERNAL
        self._base = INTERNAL if self._is_internal else PUBLIC

    async def ask(self, question: Question, products: list[str]) -> Answer:
        await self._refresh()
        answer = await asyncio.to_thread(self._assistant.answer, question, self._base.about(products))
        link_for = links_within(self._assistant, self._base)
        return AnswerBody.of(
            answer,
            lambda snippet: self._is_internal or links_are_open(snippet.text, snippet.citation.path, link_for),
            is_internal=self._is_internal,
        )

    async def triage(self, question: Question, products: list[str], answer: Answer) -> Triage | None:
        if not self._is_internal:
            return None
        return await asyncio.to_thread(triage, self._assistant, question, self._base.about(products), answer=answer)

    async def article(self, name: str) -> Article:
        await self._refresh()
        return await asyncio.to_thread(self._assistant.article, name, self._base)

    def visible_text(self, article: Article, span: Span) -> str:
        if self._is_internal:
            return article.source.slice(span)
        return public_lines(article, span, links_within(self._assistant, self._base))

    def address(self, citation: Citation) -> str:
        return self._console + citation_url(citation) if self._console else ""

    async def _refresh(self) -> None:
        await asyncio.to_thread(self._refresher.refresh, self._assistant)


def run_stdio(assistant: Assistant, audience: Audience, console: str | None) -> None:
    """Serve on standard input and output until the input ends.

    Args:
        console: as of LocalDesk.
    """
    desk = LocalDesk(assistant, audience, console)
    server = make_server(lambda _request: desk, version("symptom-kb"))

    async def serve() -> None:
        from mcp.server.stdio import stdio_server

        async with stdio_server() as (receiving, sending):
            await server.run(receiving, sending, server.create_initialization_options())

    asyncio.run(serve())
