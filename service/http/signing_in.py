"""Sign-ins that are under way at the provider: who began them, and where they lead back to."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from service.keys import hash_token

PENDING_COOKIE = "kb_sign_in"
PENDING_S = 600
"""How long somebody may take at the provider."""

_MAX_PENDING = 5_000
_LONGEST_PATH = 2_000


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """What has to be known when the provider sends the browser back.

    Attributes:
        browser: digest of the cookie that the browser got.
        verifier: of PKCE (RFC 7636); 256 random bits, as the nonce.
        return_to: a path of the console.
    """

    browser: str
    nonce: str
    verifier: str
    redirect_uri: str
    return_to: str


class PendingSignIns:
    """In memory, few minutes old at most, each good for one callback. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[str, tuple[PendingSignIn, float]] = {}

    def begin(self, browser: str, redirect_uri: str, return_to: str) -> tuple[str, PendingSignIn]:
        """A new sign-in of the browser with this cookie, and its `state`. If there are many the oldest gives way."""
        state = secrets.token_urlsafe(32)
        pending = PendingSignIn(
            hash_token(browser), secrets.token_urlsafe(32), secrets.token_urlsafe(32), redirect_uri, return_to
        )
        now = self._clock()
        with self._lock:
            while self._pending:
                oldest = next(iter(self._pending))
                if len(self._pending) < _MAX_PENDING and self._pending[oldest][1] > now:
                    break
                del self._pending[oldest]
            self._pending[state] = (pending, now + PENDING_S)
        return state, pending

    def finish(self, state: str, browser: str) -> PendingSignIn | None:
        """The sign-in of this `state`, used up by this; None if there is none, or another browser began it."""
        with self._lock:
            pending, ends = self._pending.pop(state, (None, 0.0))
        if pending is None or ends <= self._clock() or not hmac.compare_digest(pending.browser, hash_token(browser)):
            return None
        return pending


def local_path(address: str) -> str:
    """`address` if it is a path and query of the console, else `/`: nobody is led elsewhere after signing in."""
    is_path = address.startswith("/") and not address.startswith(("//", "/sign-in")) and "\\" not in address
    if not is_path or len(address) > _LONGEST_PATH or not (address.isascii() and address.isprintable()):
        return "/"
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else address
