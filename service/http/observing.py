"""The outermost layer: request ids, security headers, one log line, count and span a request, defects turned to 500.

The log line has the route's template and never the address, so nothing a caller typed reaches the log.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
import traceback
from datetime import UTC, datetime

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.metrics import Metrics
from service.http.pages import for_reader
from service.http.problems import describe_error
from service.http.routing import routes_at
from service.http.security import SECURITY_HEADERS
from service.tracing import Tracing

access_log = logging.getLogger("kb.access")
error_log = logging.getLogger("kb.serve")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:\-]{1,64}")
_SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observing:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing) -> None:
        self._app = app
        self._metrics = metrics
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = MutableHeaders(scope=message)
                sent["X-Request-ID"] = request_id
                present = {name for name, _ in sent.raw}
                sent.raw.extend(pair for pair in _SECURITY_HEADERS if pair[0] not in present)
            await send(message)

        method = scope["method"] if scope["method"] in _METHODS else "other"
        with self._tracing.request(method, scope["path"], headers) as finish:
            try:
                await self._app(scope, receive, send_observed)
            except Exception as error:  # noqa: BLE001 -- the last line of defence; logged below without its message
                _log_defect(error, request_id)
                if not status:
                    await for_reader(scope, describe_error(error, request_id))(scope, receive, send_observed)
            finally:
                route = _route_of(scope)
                finish(route, status or 499)
                self._record(scope, method, route, status or 499, time.perf_counter() - started)

    def _record(self, scope: Scope, method: str, route: str, status: int, took_s: float) -> None:
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(took_s)
        caller = scope.get("state", {}).get("caller")
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": "request",
            "method": method,
            "route": route,
            "status": status,
            "ms": round(took_s * 1000, 1),
            "request_id": scope["state"]["request_id"],
            "audience": caller.audience.value if caller else None,
            "key": caller.key_id if caller else None,
        }
        access_log.info(json.dumps(line))


def _route_of(scope: Scope) -> str:
    """The template of the route that answered, or would have, had the gate let the request in."""
    route = scope.get("route") or next(iter(routes_at(scope)), None)
    if isinstance(route, Mount):
        return route.path
    return getattr(route, "path_format", None) or getattr(route, "path", None) or "unmatched"


def _log_defect(error: Exception, request_id: str) -> None:
    """The kind of exception and where it came from; its message may quote the question, so it is left out."""
    frames = "".join(traceback.format_tb(error.__traceback__)[-12:])
    error_log.error("request %s failed with %s\n%s", request_id, type(error).__name__, frames)
