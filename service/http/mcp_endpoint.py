"""`/mcp`: the MCP server over streamable HTTP, behind the same gate as everything else.

Every request stands for itself: no session is kept, for any protocol version, so any process can answer it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from indexer.articles import Article
from indexer.source import Span
from service.answers import Answer, Citation, Question
from service.http.answering import ClientGone
from service.http.links import citation_url, links_within
from service.http.problems import ProblemError, request_id_of
from service.http.routes_search import ask, triage_for
from service.http.security import Caller
from service.http.services import Services
from service.mcp_server import ToolRefused, make_server
from service.mcp_tools import public_lines
from service.triage import Triage

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

MCP_PATH = "/mcp"


class HttpDesk:
    """What the holder of one request's credential may see."""

    def __init__(self, services: Services, request: Request) -> None:
        self._services = services
        self._caller: Caller = request.scope["state"]["caller"]
        self._base = str(request.base_url).rstrip("/")

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


class McpEndpoint:
    """The ASGI endpoint. Enter `run` while it serves.

    Attributes:
        path: where it is mounted.
    """

    path = MCP_PATH

    def __init__(self, services: Services, version: str) -> None:
        self._services = services
        self._version = version
        self._manager: StreamableHTTPSessionManager | None = None

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Serve within this context; it may be entered again after it has ended."""
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        server = make_server(self._desk, self._version)
        manager = StreamableHTTPSessionManager(
            server,
            json_response=True,
            stateless=True,
            max_request_body_size=self._services.settings.max_body_bytes,
        )
        async with manager.run():
            self._manager = manager
            try:
                yield
            finally:
                self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self  # for the log and the metrics, as the framework does for its own routes
        request = Request(scope, receive)
        refusal = self._refuse(request)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        assert self._manager is not None, "the endpoint is not running"
        await self._manager.handle_request(scope, receive, send)

    def _desk(self, request: Any) -> HttpDesk:
        return HttpDesk(self._services, request)

    def _refuse(self, request: Request) -> Response | None:
        """A problem for a page of a foreign origin and for what is not a POST: there are no streams to open."""
        origin = request.headers.get("origin")
        if origin is not None and not self._knows(origin.lower(), request):
            problem = ProblemError("forbidden", "this origin may not use MCP; see docs/mcp.md")
            return problem.response(request_id_of(request))
        if request.method != "POST":
            problem = ProblemError("method-not-allowed", "MCP takes POST only", {"Allow": "POST"})
            return problem.response(request_id_of(request))
        return None

    def _knows(self, origin: str, request: Request) -> bool:
        """Whether `origin` is our own, or one that a publishable key names. The key itself is checked by the gate."""
        parts = urlsplit(origin)
        is_own = parts.scheme == request.url.scheme and parts.netloc == request.headers.get("host", "").lower()
        return is_own or self._services.gatekeeper.keys.allows_origin(origin)
