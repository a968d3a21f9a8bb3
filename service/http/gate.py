"""What a request passes before any route sees it: CORS, credential, rate limit, body limit."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address, IPv6Network

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from indexer.errors import SettingsError
from service.http.answering import CLIENT, ClientGone
from service.http.limits import RateLimiter
from service.http.pages import for_reader
from service.http.problems import ProblemError, describe_error
from service.http.security import MCP_PATH, Caller, Gatekeeper
from service.settings import Settings

_INTAKE = "/v1/intake/"
_UNLIMITED = ("/v1/health", "/v1/ready", "/metrics", "/static/", "/widget/")
_CORS_METHODS = "GET, POST, OPTIONS"
_CORS_HEADERS = (
    "Authorization, Content-Type, Accept, If-None-Match, X-Request-ID, MCP-Protocol-Version, Mcp-Method, Mcp-Name"
)
_CORS_EXPOSED = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-ID"


class Gate:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, settings: Settings, gatekeeper: Gatekeeper, limiter: RateLimiter) -> None:
        self._app = app
        self._settings = settings
        self._gatekeeper = gatekeeper
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        if scope["path"].startswith(_INTAKE):
            await self._pass_delivery(request, scope, receive, send)
            return
        extra: dict[str, str] = {}

        async def send_through(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in extra.items():
                    headers.setdefault(name, value)
                if _is_shared(scope["path"]):
                    headers.add_vary_header("Origin")
            await send(message)

        try:
            cors = self._cors(request)
            extra.update(cors)
            if scope["method"] == "OPTIONS" and "access-control-request-method" in request.headers:
                await Response(status_code=204 if cors else 403)(scope, receive, send_through)
                return
            caller = await self._identify(request)
            scope.setdefault("state", {})["caller"] = caller
            extra.update(self._count(request, caller))
            body = await self._read_body(scope, receive)
        except (SettingsError, ProblemError) as error:
            await for_reader(scope, describe_error(error, _id(scope)))(scope, receive, send_through)
        except ClientGone:
            return  # nobody is there to be answered
        else:
            CLIENT.set(receive)
            await self._pass(scope, _replay(body, receive), send_through)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        """To the routes. They answer HEAD as they answer GET, and the server keeps the body to itself."""
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, send)
        finally:
            scope["route"] = asked.get("route")  # for the log and the metrics

    async def _pass_delivery(self, request: HTTPConnection, scope: Scope, receive: Receive, send: Send) -> None:
        """A vendor's delivery: no key of ours and no page; the route checks its signature, and reads its raw body."""
        try:
            self._take(f"intake@{_network_of(request)}", self._settings.intake_rate_limit_per_minute)
        except ProblemError as problem:
            await problem.response(_id(scope))(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _identify(self, request: HTTPConnection) -> Caller:
        """As the gatekeeper; what it refuses is counted too, and told to slow down beyond the limit."""
        try:
            return await self._gatekeeper.identify(request)
        except ProblemError:
            self._take(f"refused@{_network_of(request)}", self._settings.rate_limit_per_minute)
            raise

    def _cors(self, request: HTTPConnection) -> dict[str, str]:
        """Headers for a page elsewhere whose origin some publishable key allows; which one is checked with the key."""
        origin = request.headers.get("origin")
        if not origin or not _is_shared(request.scope["path"]):
            return {}
        if not self._gatekeeper.keys.allows_origin(origin.lower()):
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": _CORS_METHODS,
            "Access-Control-Allow-Headers": _CORS_HEADERS,
            "Access-Control-Expose-Headers": _CORS_EXPOSED,
            "Access-Control-Max-Age": "600",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }

    def _count(self, request: HTTPConnection, caller: Caller) -> dict[str, str]:
        if request.scope["path"].startswith(_UNLIMITED):
            return {}
        if caller.has_own_limit:
            return self._take(f"key:{caller.key_id}", self._settings.secret_rate_limit_per_minute)
        name = f"{caller.key_id or 'anonymous'}@{_network_of(request)}"
        return self._take(name, self._settings.rate_limit_per_minute)

    def _take(self, name: str, limit: int) -> dict[str, str]:
        """Headers that tell what is left. Raises ProblemError `too-many-requests` beyond the limit."""
        allowance = self._limiter.take(name, limit)
        if not allowance.granted:
            raise ProblemError("too-many-requests", "slow down; see Retry-After", allowance.headers())
        return allowance.headers()

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, which is small by rule.

        Raises:
            ProblemError: `body-too-large`, without reading on.
            ClientGone: the caller hung up before its end.
        """
        limit = self._settings.max_body_bytes
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            raise ProblemError("body-too-large", f"the limit is {limit} bytes")
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            body += message.get("body", b"")
            if len(body) > limit:
                raise ProblemError("body-too-large", f"the limit is {limit} bytes")
            if not message.get("more_body", False):
                return bytes(body)


def _network_of(request: HTTPConnection) -> str:
    """The client's address; of IPv6 its network of 64 bits, whose addresses are all at the hands of one subscriber."""
    host = request.client.host if request.client else "unknown"
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host)
    except AddressValueError:
        return host
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))


def _is_shared(path: str) -> bool:
    """Whether pages of other origins may ask there, with a publishable key."""
    return path.startswith("/v1/") or path == MCP_PATH


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, and then whatever comes."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


def _id(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))
