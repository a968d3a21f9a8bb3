"""Who is calling, and what they may see. Only the credential decides: API key, access token, session, or nothing."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, urlsplit

from starlette.requests import HTTPConnection

from indexer.metadata import Audience
from indexer.scope import INTERNAL, PUBLIC, Scope
from service.http.links import own_address
from service.http.problems import ProblemError
from service.identity import Identity
from service.keys import KeyFile, KeyKind, hash_token, make_key
from service.settings import LOOPBACK_HOSTS, Settings

if TYPE_CHECKING:
    from service.oidc_provider import Provider

MCP_PATH = "/mcp"
RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
SESSION_COOKIE = "kb_session"
_MAX_SESSIONS = 10_000

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request.

    Attributes:
        audience: the most that they may see.
        means: how they showed who they are.
        key_id: the id of the key or account behind it; None for an anonymous caller.
        name: of the key or account, shown in the console.
        has_own_limit: whether requests are counted by `key_id` alone, wherever they come from.
    """

    audience: Audience
    means: Literal["nothing", "key", "token", "session"]
    key_id: str | None = None
    name: str = ""
    has_own_limit: bool = False

    @property
    def is_internal(self) -> bool:
        return self.audience is Audience.INTERNAL

    def scope(self, products: Iterable[str] = ()) -> Scope:
        """What this caller may search, narrowed to `products` where some are named."""
        return (INTERNAL if self.is_internal else PUBLIC).about(products)


_STRANGER = Caller(Audience.PUBLIC, "nothing")


class Sessions:
    """Console sessions and one-time sign-in tokens, in memory: they end with the process. Thread-safe."""

    def __init__(self, lifetime_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[Identity, float]] = {}
        self._tickets: dict[str, Identity] = {}

    def open(self, holder: Identity) -> str:
        """Start a session for `holder` and return the cookie's value."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._sessions = {name: value for name, value in self._sessions.items() if value[1] > now}
            if len(self._sessions) >= _MAX_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[hash_token(token)] = (holder, now + self._lifetime_s)
        return token

    def find(self, token: str) -> Identity | None:
        """Whose session it is; None if there is none, or no longer."""
        with self._lock:
            holder, ends = self._sessions.get(hash_token(token), (None, 0.0))
        return holder if ends > self._clock() else None

    def close(self, token: str) -> Identity | None:
        """End a session; whose it was, or None if there was none."""
        with self._lock:
            holder, _ = self._sessions.pop(hash_token(token), (None, 0.0))
        return holder

    def issue_ticket(self, name: str) -> str:
        """A token that signs in once, as an engineer's key that exists only in this process."""
        key, token = make_key(name, KeyKind.SECRET, Audience.INTERNAL)
        with self._lock:
            self._tickets[key.sha256] = Identity(key.id, key.name, key.audience)
        return token

    def redeem(self, token: str) -> Identity | None:
        """Whom a one-time token stands for; it is used up by this."""
        with self._lock:
            return self._tickets.pop(hash_token(token), None)


class Gatekeeper:
    """Turns a request's headers into a Caller.

    Attributes:
        provider: where engineers sign in; None without single sign-on.
    """

    def __init__(self, settings: Settings, keys: KeyFile, sessions: Sessions, provider: Provider | None = None) -> None:
        self._settings = settings
        self._anonymous = Caller(settings.anonymous_audience, "nothing")
        self.keys = keys
        self.sessions = sessions
        self.provider = provider

    @property
    def takes_tokens(self) -> bool:
        """Whether access tokens of the provider are taken beside keys."""
        return self.provider is not None and self.provider.sso.audience is not None

    async def identify(self, request: HTTPConnection) -> Caller:
        """The caller of `request`.

        Raises:
            ProblemError: `unauthorized` for a key or token that is not valid, `forbidden` for one used from elsewhere,
                `provider-unavailable` for a token that cannot be checked.
            SettingsError: the key file cannot be read.
        """
        self._check_host(request)
        header = request.headers.get("authorization")
        if header is not None:
            return await self._by_bearer(request, header)
        cookie = request.cookies.get(SESSION_COOKIE)
        holder = self.sessions.find(cookie) if cookie else None
        if holder is None or not self._still_valid(holder):
            # What is open to people on this machine is not open to the pages of others in their browsers.
            return _STRANGER if is_from_elsewhere(request) else self._anonymous
        self._check_same_origin(request)
        return Caller(holder.audience, "session", holder.id, holder.name, has_own_limit=True)

    def sign_in(self, token: str) -> Identity | None:
        """Whom a secret key or a one-time token stands for; None if it is neither."""
        if one_time := self.sessions.redeem(token):
            return one_time
        key = self.keys.find(token)
        if key is None or key.kind is not KeyKind.SECRET:
            return None
        return Identity(key.id, key.name, key.audience, key_file=True)

    def challenge(self, request: HTTPConnection, error: str = "") -> dict[str, str]:
        """`WWW-Authenticate` (RFC 6750, 3); where tokens are taken, it tells where to get one (RFC 9728, 5.1)."""
        if not self.takes_tokens:
            return {"WWW-Authenticate": "Bearer"}
        path = request.scope["path"] if request.scope["path"] == MCP_PATH else ""
        address = f"{own_address(self._settings, request)}{RESOURCE_METADATA}{path}".replace('"', "%22")
        parts = [*([f'error="{error}"'] if error else []), f'resource_metadata="{address}"']
        return {"WWW-Authenticate": f"Bearer {', '.join(parts)}"}

    async def _by_bearer(self, request: HTTPConnection, header: str) -> Caller:
        scheme, _, credential = header.partition(" ")
        token = credential.strip() if scheme.lower() == "bearer" else ""
        if self.provider is not None and self.takes_tokens and token.count(".") == 2:  # keys have no dots
            return await self._by_token(self.provider, request, token)
        key = self.keys.find(token)
        if key is None:
            detail = "send `Authorization: Bearer KEY` with a valid key"
            raise ProblemError("unauthorized", detail, self.challenge(request, "invalid_token"))
        if key.kind is KeyKind.PUBLISHABLE and origin_of(request) not in key.origins:
            raise ProblemError("forbidden", "this publishable key is not meant for this origin")
        if key.audience is Audience.INTERNAL and is_from_elsewhere(request):
            # Whoever reads that page can read the key: better that it never works there than that customers use it.
            detail = "an internal key has no place in a web page: revoke it, and make a publishable one for the page"
            raise ProblemError("forbidden", detail)
        return Caller(key.audience, "key", key.id, key.name, has_own_limit=key.kind is KeyKind.SECRET)

    async def _by_token(self, provider: Provider, request: HTTPConnection, token: str) -> Caller:
        from service.oidc import ProviderUnavailable, TokenRefused

        try:
            holder = await provider.identify(token)
        except TokenRefused as error:
            raise ProblemError("unauthorized", str(error), self.challenge(request, "invalid_token")) from error
        except ProviderUnavailable as error:
            detail = "the sign-in provider cannot be reached, so this token cannot be checked; a key works"
            raise ProblemError("provider-unavailable", detail, {"Retry-After": "10"}) from error
        return Caller(holder.audience, "token", holder.id, holder.name, has_own_limit=True)

    def _still_valid(self, holder: Identity) -> bool:
        """A session that a key opened ends with the key."""
        return not holder.key_file or any(key.id == holder.id for key in self.keys.all())

    def _check_same_origin(self, request: HTTPConnection) -> None:
        """The session goes along with links from elsewhere; whatever changes something has to come from our pages."""
        if is_from_elsewhere(request) and request.scope.get("method", "GET") not in {"GET", "HEAD"}:
            raise ProblemError("forbidden", "a console session works on the console's own pages only")

    def _check_host(self, request: HTTPConnection) -> None:
        """Where internal articles are open to this machine, a web page must not reach them by rebinding its name."""
        if self._anonymous.is_internal:
            parts = split_address(f"//{request.headers.get('host', '')}")
            if parts is None or parts.hostname not in LOOPBACK_HOSTS:
                raise ProblemError("forbidden", "this service answers under a loopback name only")


def is_from_elsewhere(request: HTTPConnection) -> bool:
    """Whether a page of another origin than ours sent the request, as its Origin has it; other programs send none.

    An https page is ours on http, too: a proxy in front of the service may have ended TLS without telling.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return False
    host = request.headers.get("host", "")
    return origin.lower() not in {f"{scheme}://{host}".lower() for scheme in (request.scope["scheme"], "https")}


def check_own_page(request: HTTPConnection) -> None:
    """For the console's own forms. Raises ProblemError `forbidden` if a page of another origin sent the request."""
    if is_from_elsewhere(request):
        raise ProblemError("forbidden", "use the form on the console's own page")


def origin_of(request: HTTPConnection) -> str | None:
    """The web origin that a browser sent the request from; from Referer where a same-origin GET has no Origin."""
    if origin := request.headers.get("origin"):
        return origin.lower()
    parts = split_address(request.headers.get("referer", ""))
    return f"{parts.scheme}://{parts.netloc}".lower() if parts and parts.netloc else None


def split_address(address: str) -> SplitResult | None:
    """The parts of an address that a caller sent; None if it is none, such as `http://[`."""
    try:
        return urlsplit(address)
    except ValueError:
        return None
