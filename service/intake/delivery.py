"""Calls to vendors: one attempt at a time, and what its outcome means for the next one.

A note must be written exactly once although a process can die, and an answer can get lost, at any moment. So an attempt
whose outcome is unknown is followed by a look: the vendor's `lookup_url` is read and searched for the note's marker
before anything is sent again. Where a vendor deduplicates by itself the same message id is sent again. Where it does
neither, the note is sent again: said twice is better than lost (docs/intake.md names those vendors).

Nothing here logs an address, a header or a body: response addresses and headers are credentials.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from service.connectors.calling import encode_request
from service.connectors.contract import Outbound
from service.intake.config import Configured, origin_of
from service.settings import LOOPBACK_HOSTS

if TYPE_CHECKING:
    import httpx

CONNECT_S, READ_S, WRITE_S, POOL_S = 5.0, 10.0, 10.0, 5.0
CALL_S = 25.0
"""The whole of one call, so that a vendor that trickles bytes cannot outlast a lease."""

MAX_LOOKUP_BYTES = 8_000_000
_MAX_ANSWER_BYTES = 1_000_000
_RETRIED = frozenset({408, 409, 425, 429})
"""Client errors that pass: time-out, update conflict, too early, rate limit. All others are ours to mend."""

_UNCERTAIN = frozenset({408, 409, 500, 502, 503, 504})
"""Statuses after which the note may have been written all the same."""

_PASSING_ERRORS = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
"""Error names, in answers with status 200, that pass by themselves."""

BACKOFF_FIRST_S, BACKOFF_MOST_S = 1.0, 900.0
SETTLE_S = 2.0
"""After an uncertain attempt the vendor gets this long to finish what it may be doing, before we look."""

MAX_RETRY_AFTER_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The call worked, or had worked before."""


@dataclass(frozen=True, slots=True)
class TryLater:
    """The call did not work, and may work later.

    Attributes:
        reason: for a person; no word of the vendor's answer but its status or error name.
        after_s: what the vendor asked for in `Retry-After`; None where it asked for nothing.
        uncertain: whether it may have worked all the same.
        limited: the vendor wants fewer calls of any kind.
    """

    reason: str
    after_s: float | None = None
    uncertain: bool = False
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The call cannot work as it is."""

    reason: str
    uncertain: bool = False


Outcome = Delivered | TryLater | Refused


def backoff_s(attempt: int, outcome: TryLater, draw: Callable[[float, float], float] = random.uniform) -> float:
    """How long to wait after the `attempt`th try, in seconds.

    Exponential with full jitter (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/);
    never less than the vendor asked for, which is jittered upwards so that not everybody comes back at once.
    """
    most = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2.0 ** min(attempt - 1, 30))
    least = SETTLE_S if outcome.uncertain else 0.0
    wait = max(least, draw(0.0, most))
    if outcome.after_s is not None:
        wait = outcome.after_s + draw(0.0, min(most, 1.0 + outcome.after_s / 10))
    return wait


def retry_after_s(value: str, now_s: float) -> float | None:
    """`Retry-After` in seconds, given as such or as an HTTP date (RFC 9110, 10.2.3); None if it is neither."""
    text = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text, re.ASCII):
        wait = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now_s
    return min(max(wait, 0.0), MAX_RETRY_AFTER_S)


def call_keys(calls: list[Outbound] | tuple[Outbound, ...]) -> list[str]:
    """A short name for each call that is the same at the next attempt."""
    from service.connectors.reading import digest

    keys: list[str] = []
    for call in calls:
        name = digest(call.method.encode(), call.url.encode(), (call.idempotency_marker or call.message_id).encode())
        keys.append(f"{name[:24]}-{sum(key.startswith(name[:24]) for key in keys)}")
    return keys


class Sender:
    """Makes calls to vendors over httpx: TLS verified, no redirect followed, no cookie kept, every wait limited."""

    def __init__(self, clock: Callable[[], float] = time.time, version: str = "0", call_s: float = CALL_S) -> None:
        """
        Args:
            call_s: the longest that one call may take; a lease must outlast it.
        """
        self.call_s = call_s
        self._clock = clock
        self._agent = f"symptom-kb/{version}"
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Drop all connections."""
        if self._client:
            await self._client.aclose()
        self._client = None

    async def send(self, call: Outbound, configured: Configured) -> Outcome:
        """Make one call."""
        if refusal := check_target(call.url, configured):
            return refusal
        headers, body = encode_request(call, self._clock())
        outcome = await self._exchange(call.method, call.url, headers, body, _MAX_ANSWER_BYTES)
        return self._judge(outcome, call) if isinstance(outcome, _Answer) else outcome

    async def is_there(self, call: Outbound, configured: Configured) -> bool | TryLater | Refused:
        """Whether the note of `call` is at the vendor already."""
        if refusal := check_target(call.lookup_url, configured):
            return refusal
        outcome = await self._exchange("GET", call.lookup_url, dict(call.headers), b"", MAX_LOOKUP_BYTES)
        if isinstance(outcome, TryLater | Refused):
            return dataclasses.replace(outcome, uncertain=True)
        if outcome.status == 404:
            return False
        judged = self._judge(outcome, call)
        match judged:
            case Delivered():
                return call.idempotency_marker.encode() in outcome.body
            case TryLater():
                return dataclasses.replace(judged, uncertain=True)
            case Refused():
                return Refused(
                    f"whether an interrupted attempt wrote the note cannot be told, for when asked {judged.reason}; "
                    "mend that and replay, or look at the ticket and purge",
                    uncertain=True,
                )

    def _judge(self, answer: _Answer, call: Outbound) -> Outcome:
        if 200 <= answer.status < 300 and call.success_field:
            return _judge_field(answer, call.success_field, self._clock())
        return judge_status(answer.status, answer.headers.get("retry-after", ""), self._clock())

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes, max_bytes: int
    ) -> _Answer | TryLater | Refused:
        import httpx

        try:
            async with (
                asyncio.timeout(self.call_s),
                self._opened().stream(
                    method, url, headers={"User-Agent": self._agent, **headers}, content=body or None
                ) as response,
            ):
                received = bytearray()
                async for part in response.aiter_bytes():
                    received += part
                    if len(received) > max_bytes:
                        break
                return _Answer(
                    response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(received)
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return TryLater(f"no connection to the vendor ({type(error).__name__})")
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            return TryLater(f"the connection broke before the answer ({type(error).__name__})", uncertain=True)
        except (httpx.InvalidURL, ValueError, UnicodeError) as error:
            return Refused(f"the request cannot be made ({type(error).__name__})")

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            self._client = httpx.AsyncClient(
                follow_redirects=False,
                timeout=httpx.Timeout(connect=CONNECT_S, read=READ_S, write=WRITE_S, pool=POOL_S),
                limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=20.0),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            )
        return self._client


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def check_target(url: str, configured: Configured) -> Refused | None:
    """None if `url` may be called: at an origin that the operator configured or the vendor documents, over https.

    An event can name an address to answer to, so without this a forged or careless one would make us call anything
    inside the network.
    """
    try:
        parts = urlsplit(url)
        known = origin_of(url) in configured.origins
    except ValueError:
        return Refused("the address to write to is not an address")
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)
    if not is_safe or parts.username is not None or parts.password is not None:
        return Refused("the address to write to is not a plain https address")
    if not known:
        return Refused("the address to write to is neither configured nor at a host that the vendor documents")
    return None


def judge_status(status: int, retry_after: str, now_s: float) -> Outcome:
    """What a vendor's status means."""
    if 200 <= status < 300:
        return Delivered()
    after_s = retry_after_s(retry_after, now_s) if retry_after else None
    if status in _RETRIED or status >= 500:
        limited = status == 429 or (status == 503 and after_s is not None)
        uncertain = status in _UNCERTAIN or status >= 500
        return TryLater(f"the vendor answered {status}", after_s, uncertain=uncertain, limited=limited)
    return Refused(f"the vendor answered {status}: {_MEANINGS.get(status, 'it does not accept the note as it is')}")


_MEANINGS = {
    **dict.fromkeys((301, 302, 303, 307, 308), "a redirect, which is not followed; correct `base_url`"),
    400: "it cannot read the note; check the connector's options",
    401: "the credential is not valid; renew `token`",
    403: "the credential may not write there; check what `token` is allowed",
    404: "the ticket is gone, or `base_url` is wrong",
    410: "the ticket or the address to answer to is gone",
    413: "the note is too large",
    422: "it refuses the values; the ticket may be closed",
}


def _judge_field(answer: _Answer, field: str, now_s: float) -> Outcome:
    """What an answer with status 200 means whose boolean `field` tells the truth."""
    import json

    try:
        values: Any = json.loads(answer.body)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        return TryLater("the vendor's answer is not the JSON that it documents", uncertain=True)
    if values.get(field) is True:
        return Delivered()
    name = values.get("error")
    error = name if isinstance(name, str) and re.fullmatch(r"[a-z0-9_.-]{1,60}", name) else "an unnamed error"
    if error in _PASSING_ERRORS:
        header = answer.headers.get("retry-after", "")
        after_s = retry_after_s(header, now_s) if header else None
        return TryLater(f"the vendor answered {error}", after_s, limited=error.startswith("rate"))
    return Refused(f"the vendor answered {error}")
