"""Requests a minute, counted in fixed windows, told in the RateLimit headers of the IETF's httpapi draft."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a caller's window.

    Attributes:
        granted: whether this request may go on.
        reset_s: seconds until the next window, rounded up.
    """

    granted: bool
    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy`, and `Retry-After` where the request is refused."""
        headers = {
            "RateLimit-Policy": f'"minute";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"minute";r={self.remaining};t={self.reset_s}',
        }
        return headers if self.granted else {**headers, "Retry-After": str(self.reset_s)}


class RateLimiter:
    """Counts requests by name. Counts end with their window, so memory is bounded by a minute's names."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._window = -1
        self._counts: dict[str, int] = {}

    def take(self, name: str, limit: int) -> Allowance:
        """Count one request of `name` against `limit` a window."""
        now = self._clock()
        window = int(now // WINDOW_S)
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, {}
            count = self._counts[name] = self._counts.get(name, 0) + 1
        reset_s = max(1, math.ceil((window + 1) * WINDOW_S - now))
        return Allowance(count <= limit, limit, max(0, limit - count), reset_s)
