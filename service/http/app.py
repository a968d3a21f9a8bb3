"""The web app: routes, their order of passing, and the background task that keeps the index fresh.

request -> Observing (id, log, metrics, headers) -> Gate (CORS, credential, limits) -> routes -> Assistant
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from indexer.errors import KBError
from service import opening
from service.http import (
    routes_articles,
    routes_console,
    routes_events,
    routes_intake,
    routes_search,
    routes_service,
    routes_sign_in,
    routes_widget,
)
from service.http.answering import AnsweringPool, ClientGone
from service.http.caching import AnswerCache
from service.http.gate import Gate
from service.http.intake_running import RunningIntake
from service.http.limits import RateLimiter
from service.http.mcp_endpoint import McpEndpoint
from service.http.metrics import Metrics
from service.http.observing import Observing
from service.http.pages import WEB, for_reader
from service.http.problems import HANDLED, Problem, describe_error, request_id_of
from service.http.reloading import Library
from service.http.routing import routes_at
from service.http.security import MCP_PATH, Gatekeeper, Sessions
from service.http.services import Services
from service.http.signing_in import PendingSignIns
from service.http.tidying import keep_ledger_tidy, keep_memory_tidy
from service.keys import KeyFile
from service.settings import Settings, discovery_address, read_single_sign_on
from service.stores import Stores
from service.tracing import Tracing

if TYPE_CHECKING:
    from service.assistant import Assistant
    from service.oidc_provider import Provider

logger = logging.getLogger("kb.serve")

_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""The framework's spans would hold addresses, and so questions; ours are made by `service.tracing`."""


def create_app(
    settings: Settings,
    open_assistant: Callable[[], Assistant] | None = None,
    *,
    sessions: Sessions | None = None,
    on_failure: Callable[[KBError], None] | None = None,
    on_ready: Callable[[], None] | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """The app for one index.

    Args:
        open_assistant: opens the assistant, in a thread; by default on `settings.index`.
        sessions: given by a caller who wants to issue one-time sign-in tokens.
        on_failure: called if the index cannot be opened at all.
        on_ready: called in a thread when the first version answers.
        tracing: makes spans, and is closed with the app; none by default.
    """
    metrics = Metrics()
    tracing = tracing or Tracing()
    keys = KeyFile(settings.keys_path)
    stores = Stores(settings)
    processes = None
    if settings.answer_processes:
        from service.http.processes import AnsweringProcesses  # most services do without, and it is 20 ms

        processes = AnsweringProcesses(settings.answer_processes, partial(opening.open_assistant, settings))

    def begin() -> None:
        if processes:
            processes.start()
        if on_ready:
            on_ready()

    library = Library(
        settings.index,
        open_assistant or partial(opening.open_assistant, settings),
        metrics,
        settings.reload_interval_s,
        on_failure,
        begin,
    )
    cache = AnswerCache(settings.answer_cache)
    services = Services(
        settings=settings,
        library=library,
        pool=AnsweringPool(settings.answer_workers, settings.answer_queue, metrics, cache, processes, tracing),
        gatekeeper=Gatekeeper(
            settings, keys, sessions or Sessions(settings.session_hours * 3600), _make_provider(settings)
        ),
        stores=stores,
        metrics=metrics,
        intake=RunningIntake(settings, stores, library, metrics),
        pending=PendingSignIns(),
    )
    app = FastAPI(
        title="Symptom KB",
        version=routes_service.software_version(),
        summary="Ranked, cited knowledge-base articles for a support symptom, or an honest none.",
        description="Errors are RFC 9457 problems. The caller's credential decides what is searched; without one, "
        "public articles only.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    app.state.services = services
    app.state.tracing = tracing
    for module in (
        routes_search,
        routes_articles,
        routes_service,
        routes_events,
        routes_intake,
        routes_widget,
        routes_console,
        routes_sign_in,
    ):
        # Not `include_router`: it builds every route once more, when the first request comes.
        app.router.routes.extend(module.router.routes)
    app.state.mcp = McpEndpoint(services, app.version)
    app.router.routes.append(Route(MCP_PATH, app.state.mcp, include_in_schema=False))
    app.mount("/static", _Static(directory=WEB / "static"), name="static")
    for handled in HANDLED:
        app.add_exception_handler(handled, _answer_error)
    app.add_exception_handler(ClientGone, _nobody_listens)
    app.add_middleware(Gate, settings=settings, gatekeeper=services.gatekeeper, limiter=RateLimiter())
    app.add_middleware(Observing, metrics=metrics, tracing=tracing)
    _complete_openapi(app, services.gatekeeper)
    return app


def _make_provider(settings: Settings) -> Provider | None:
    sso = read_single_sign_on(settings)
    if sso is None:
        return None
    from service.oidc_provider import Provider  # loads the cryptography that most services do without

    return Provider(sso)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    async with contextlib.AsyncExitStack() as stack:  # each part is closed, whatever closing another comes to
        stack.push_async_callback(asyncio.to_thread, app.state.tracing.close)
        stack.callback(services.stores.close)
        stack.push_async_callback(asyncio.to_thread, services.pool.close)
        for work in (
            services.library.run(),
            keep_memory_tidy(),
            keep_ledger_tidy(services.stores, services.settings.ledger_keep_days),
        ):
            task = asyncio.create_task(work)
            task.add_done_callback(_report)
            stack.push_async_callback(_end, task)
        stack.push_async_callback(services.intake.stop)
        await services.intake.start(app.version)
        await stack.enter_async_context(app.state.mcp.run())
        yield


def _report(task: asyncio.Task[None]) -> None:
    """Nobody waits for a background task, so nobody else would see that it failed."""
    if not task.cancelled() and (error := task.exception()):
        logger.error("a background task failed", exc_info=error)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _answer_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        error = HTTPException(405, headers={"Allow": ", ".join(_methods_of(request))})
    return for_reader(request.scope, describe_error(error, request_id_of(request)))


def _methods_of(request: Request) -> list[str]:
    """All methods that the request's address takes; a route that refuses one knows only its own."""
    found: set[str] = set()
    for route in routes_at(request.scope):
        found |= {"GET"} if isinstance(route, Mount) else getattr(route, "methods", None) or set()
    return sorted(found | {"HEAD"} if "GET" in found else found)


async def _nobody_listens(request: Request, error: Exception) -> Response:
    """For the log and the metrics only: the caller hung up."""
    return Response(status_code=499)


class _Static(StaticFiles):
    """The console's own files: kept by browsers, but asked about each time, so an upgrade shows at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _complete_openapi(app: FastAPI, gatekeeper: Gatekeeper) -> None:
    """Add what FastAPI cannot know: the problem schema and the ways to show a credential."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = generate()
        document["servers"] = [{"url": "/", "description": "the service that gives this document"}]
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs", {}))
        schemas["Problem"] = problem
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        components["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": "kb_session"},
        }
        document["security"] = [{}, {"key": []}, {"session": []}]
        if gatekeeper.provider is not None and gatekeeper.takes_tokens:
            address = discovery_address(gatekeeper.provider.sso.issuer)
            components["securitySchemes"]["token"] = {"type": "openIdConnect", "openIdConnectUrl": address}
            document["security"].append({"token": []})
        return document

    app.openapi = openapi  # type: ignore[method-assign]
