"""`/mcp`: the MCP server over streamable HTTP, behind the same gate as everything else.

Every request stands for itself: no session is kept, for any protocol version, so any process can answer it. The SDK is
loaded by the first request: it takes 20 MB and half a second, and many services are never asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.http.problems import ProblemError, request_id_of
from service.http.security import MCP_PATH, Caller, is_from_elsewhere
from service.http.services import Services

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


class McpEndpoint:
    """The ASGI endpoint. Enter `run` while it serves.

    Attributes:
        path: where it is mounted.
    """

    path = MCP_PATH

    def __init__(self, services: Services, version: str) -> None:
        self._services = services
        self._version = version
        self._serving: _Serving | None = None

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Serve within this context; it may be entered again after it has ended."""
        self._serving = _Serving(self._make_manager)
        try:
            yield
        finally:
            serving, self._serving = self._serving, None
            await serving.end()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self  # for the log and the metrics, as the framework does for its own routes
        request = Request(scope, receive)
        refusal = self._refuse(request)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        assert self._serving is not None, "the endpoint is not running"
        manager = await self._serving.manager()
        await manager.handle_request(scope, receive, send)

    def _make_manager(self) -> StreamableHTTPSessionManager:
        """Loads the SDK; slow, so it is called in a thread."""
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from service.http.mcp_desk import HttpDesk
        from service.mcp_server import make_server

        return StreamableHTTPSessionManager(
            make_server(lambda request: HttpDesk(self._services, request), self._version),
            json_response=True,
            stateless=True,
            max_request_body_size=self._services.settings.max_body_bytes,
        )

    def _refuse(self, request: Request) -> Response | None:
        """A problem for a page of a foreign origin, for what is not a POST (there are no streams to open), and for
        callers without a credential where the operator wants one."""
        if is_from_elsewhere(request) and not self._knows(request):
            problem = ProblemError("forbidden", "this origin may not use MCP; see docs/mcp.md")
            return problem.response(request_id_of(request))
        if request.method != "POST":
            problem = ProblemError("method-not-allowed", "MCP takes POST only", {"Allow": "POST"})
            return problem.response(request_id_of(request))
        caller: Caller = request.state.caller
        if caller.means == "nothing" and not self._services.settings.mcp_anonymous:
            detail = "MCP asks for a key or an access token here; see docs/mcp.md"
            problem = ProblemError("unauthorized", detail, self._services.gatekeeper.challenge(request))
            return problem.response(request_id_of(request))
        return None

    def _knows(self, request: Request) -> bool:
        """Whether a publishable key names the page's origin. The key itself is checked by the gate."""
        return self._services.gatekeeper.keys.allows_origin(request.headers["origin"].lower())


class _Serving:
    """The SDK's session manager, made and entered by the first request that asks for it.

    The manager has to be left by the task that entered it, and no request lives that long: a task of its own does both.
    """

    def __init__(self, make: Callable[[], StreamableHTTPSessionManager]) -> None:
        self._make = make
        self._ended = asyncio.Event()
        self._ready: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._task: asyncio.Task[None] | None = None

    async def manager(self) -> StreamableHTTPSessionManager:
        """The running manager. Raises what making it raised; the next request tries again."""
        if self._ready is None or (self._ready.done() and self._ready.exception()):
            self._ready = asyncio.get_running_loop().create_future()
            # An empty context: the task outlives the request, whose caller must not stay known to it.
            self._task = asyncio.create_task(self._keep(self._ready), context=contextvars.Context())
        return await asyncio.shield(self._ready)

    async def end(self) -> None:
        """Leave the manager, if there is one."""
        self._ended.set()
        if self._task is not None:
            await self._task

    async def _keep(self, ready: asyncio.Future[StreamableHTTPSessionManager]) -> None:
        try:
            manager = await asyncio.to_thread(self._make)
            async with manager.run():
                ready.set_result(manager)
                await self._ended.wait()
        except Exception as error:
            if ready.done():
                raise
            ready.set_exception(error)
