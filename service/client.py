"""A typed client of the HTTP API: the same data as in `service.answers`, errors as exceptions, retries where they help.

    with Client("https://kb.example.com", key) as kb:
        answer = kb.search("every request answers 401 invalid_token")

`AsyncClient` is the same with `await`. Both wait and try again when the service is busy or asks for patience (503, 429
and its `Retry-After`), and when the connection cannot be made; nothing else is sent twice.
"""

from __future__ import annotations

import random
from asyncio import sleep as sleep_async
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from time import sleep
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from service.answers import Answer, Citation, Reason, Snippet, Suggestion

TYPE_PREFIX = "urn:symptom-kb:problem:"
DEFAULT_TIMEOUT_S = 30.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 60.0

Result = TypeVar("Result")


class ClientError(Exception):
    """Base of all errors of the client."""


class ConnectionFailed(ClientError):
    """The service cannot be reached, or did not answer in time."""


class ProblemRaised(ClientError):
    """The service refused.

    Attributes:
        type: stable URI of the kind of problem, such as `urn:symptom-kb:problem:not-found`.
        status: of HTTP.
        detail: what is wrong; never holds what was sent.
        request_id: under which the service logged it.
        errors: the values that are not valid, each with `location` and `message`.
    """

    def __init__(
        self, type: str, status: int, title: str, detail: str, request_id: str, errors: Sequence[Mapping[str, str]]
    ) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.type = type
        self.status = status
        self.title = title
        self.detail = detail
        self.request_id = request_id
        self.errors = tuple(errors)


class Unauthorized(ProblemRaised):
    """The key is not valid."""


class Forbidden(ProblemRaised):
    """The key may not be used so."""


class NotFound(ProblemRaised):
    """No such article for this key."""


class Invalid(ProblemRaised):
    """A value is not valid; see `errors`."""


class Unavailable(ProblemRaised):
    """Busy, starting, or asking for patience, and still so after the last retry."""


_ERRORS: dict[int, type[ProblemRaised]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: Unavailable,
    503: Unavailable,
}
_PATIENT = frozenset({429, 503})
"""Also where a proxy in front says it, which knows nothing of our problems."""


@dataclass(frozen=True, slots=True)
class Found(Answer):
    """An answer as the service gives it.

    Attributes:
        nearest: the suggestions are only what came nearest; `answered` is False then.
    """

    nearest: bool = False


@dataclass(frozen=True, slots=True)
class TicketSuggestions(Found):
    """An answer for a ticket.

    Attributes:
        internal_note: Markdown for the ticket's internal side.
        triage: for keys of the team, as docs/triage.md has it; None for others.
    """

    internal_note: str = ""
    triage: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ArticleEntry:
    """An article in a list. `version` is the SHA-256 of its source."""

    article_id: str
    path: str
    title: str
    summary: str
    audience: str
    type: str | None
    confidence: str | None
    products: tuple[str, ...]
    components: tuple[str, ...]
    tags: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class ArticleText(ArticleEntry):
    """An article with its text."""

    markdown: str = ""
    html: str = ""
    index_version: str = ""


@dataclass(frozen=True, slots=True)
class _Call:
    """One request: what is sent, and how its answer is read."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None


class _Shared:
    """What both clients do alike; no I/O."""

    def __init__(self, base_url: str, key: str, retries: int) -> None:
        self._address = _read_address(base_url)
        self._headers = _headers(key.strip())
        self._retries = retries

    def _wait_s(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Seconds until the next attempt; None if there is none to be made."""
        if attempt >= self._retries or (response is not None and response.status_code not in _PATIENT):
            return None
        asked = response.headers.get("retry-after", "") if response is not None else ""
        wait_s = float(asked) if asked.isdecimal() else _backoff_s(attempt)
        return wait_s if wait_s <= _LONGEST_WAIT_S else None

    @staticmethod
    def _search(text: str, title: str, limit: int, products: Sequence[str]) -> _Call:
        body = {"text": text, "title": title, "limit": limit, "products": list(products)}
        return _Call("POST", "/v1/search", json=body)

    @staticmethod
    def _suggest(subject: str, body: str, limit: int, products: Sequence[str]) -> _Call:
        values = {"subject": subject, "body": body, "limit": limit, "products": list(products)}
        return _Call("POST", "/v1/tickets/suggest", json=values)

    @staticmethod
    def _article(name: str) -> _Call:
        return _Call("GET", f"/v1/articles/{quote(name)}", params={"format": "json"})

    @staticmethod
    def _page(cursor: str | None, products: Sequence[str]) -> _Call:
        params: dict[str, Any] = {"limit": 200, "products": list(products)}
        return _Call("GET", "/v1/articles", params={**params, "cursor": cursor} if cursor else params)

    @staticmethod
    def _feedback(answer: Answer, article: str, helpful: bool, comment: str) -> _Call:
        body = {"index_version": answer.index_version, "article": article, "helpful": helpful, "comment": comment}
        return _Call("POST", "/v1/feedback", json=body)


class Client(_Shared):
    """The API for programs that wait for their answers. Thread-safe; close it, or use it in a `with` statement."""

    def __init__(
        self,
        base_url: str,
        key: str = "",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """
        Args:
            base_url: such as `https://kb.example.com`.
            key: a secret key or an access token; without one only public articles are seen.
            retries: how often a request that the service cannot take now is tried again.

        Raises:
            ClientError: `base_url` is no address, or `key` no key.
        """
        super().__init__(base_url, key, retries)
        self._http = httpx.Client(
            base_url=self._address,
            headers=self._headers,
            timeout=timeout_s,
            transport=transport,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def search(self, text: str, *, title: str = "", limit: int = 5, products: Sequence[str] = ()) -> Found:
        """Ranked articles with cited snippets, or none. Raises ClientError."""
        return _read_found(self._send(self._search(text, title, limit, products)))

    def suggest(
        self, subject: str = "", body: str = "", *, limit: int = 3, products: Sequence[str] = ()
    ) -> TicketSuggestions:
        """The same for a ticket, with a note and triage. Raises ClientError."""
        return _read_suggestions(self._send(self._suggest(subject, body, limit, products)))

    def article(self, name: str) -> ArticleText:
        """The article with this path or id. Raises ClientError."""
        return _read(ArticleText, self._send(self._article(name)))

    def articles(self, products: Sequence[str] = ()) -> Iterator[ArticleEntry]:
        """All articles in scope, page by page, in path order. Raises ClientError."""
        cursor: str | None = None
        while True:
            page = self._send(self._page(cursor, products))
            yield from (_read(ArticleEntry, entry) for entry in page["articles"])
            cursor = page["next_cursor"]
            if not cursor:
                return

    def send_feedback(self, answer: Answer, article: str, helpful: bool, comment: str = "") -> None:
        """Say whether an article of `answer` helped. Raises ClientError."""
        self._send(self._feedback(answer, article, helpful, comment))

    def _send(self, call: _Call) -> dict[str, Any]:
        attempt = 0
        while True:
            response: httpx.Response | None = None
            failure: httpx.TransportError | None = None
            try:
                response = self._http.request(call.method, call.path, json=call.json, params=call.params)
            except httpx.TransportError as error:
                failure = error
            wait_s = self._wait_s(attempt, response) if _may_retry(failure) else None
            if wait_s is None or (response is not None and response.is_success):
                return _result_of(response, failure)
            sleep(wait_s)
            attempt += 1


class AsyncClient(_Shared):
    """The same for asyncio; close it, or use it in an `async with` statement."""

    def __init__(
        self,
        base_url: str,
        key: str = "",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        retries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As `Client`."""
        super().__init__(base_url, key, retries)
        self._http = httpx.AsyncClient(
            base_url=self._address,
            headers=self._headers,
            timeout=timeout_s,
            transport=transport,
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def search(self, text: str, *, title: str = "", limit: int = 5, products: Sequence[str] = ()) -> Found:
        """As `Client.search`."""
        return _read_found(await self._send(self._search(text, title, limit, products)))

    async def suggest(
        self, subject: str = "", body: str = "", *, limit: int = 3, products: Sequence[str] = ()
    ) -> TicketSuggestions:
        """As `Client.suggest`."""
        return _read_suggestions(await self._send(self._suggest(subject, body, limit, products)))

    async def article(self, name: str) -> ArticleText:
        """As `Client.article`."""
        return _read(ArticleText, await self._send(self._article(name)))

    async def articles(self, products: Sequence[str] = ()) -> AsyncIterator[ArticleEntry]:
        """As `Client.articles`."""
        cursor: str | None = None
        while True:
            page = await self._send(self._page(cursor, products))
            for entry in page["articles"]:
                yield _read(ArticleEntry, entry)
            cursor = page["next_cursor"]
            if not cursor:
                return

    async def send_feedback(self, answer: Answer, article: str, helpful: bool, comment: str = "") -> None:
        """As `Client.send_feedback`."""
        await self._send(self._feedback(answer, article, helpful, comment))

    async def _send(self, call: _Call) -> dict[str, Any]:
        attempt = 0
        while True:
            response: httpx.Response | None = None
            failure: httpx.TransportError | None = None
            try:
                response = await self._http.request(call.method, call.path, json=call.json, params=call.params)
            except httpx.TransportError as error:
                failure = error
            wait_s = self._wait_s(attempt, response) if _may_retry(failure) else None
            if wait_s is None or (response is not None and response.is_success):
                return _result_of(response, failure)
            await sleep_async(wait_s)
            attempt += 1


def _read_address(base_url: str) -> httpx.URL:
    """Raises ClientError where `base_url` cannot be one."""
    try:
        address = httpx.URL(base_url.strip())
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in {"http", "https"} or not address.host:
        raise ClientError("base_url must be the service's address with its scheme, such as https://kb.example.com")
    return address


def _headers(key: str) -> dict[str, str]:
    """Raises ClientError where `key` cannot be one."""
    if not (key.isascii() and key.isprintable()):
        raise ClientError("the key holds characters that no key has; copy it again, without what is around it")
    return {"Accept": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}


def _backoff_s(attempt: int) -> float:
    """Half a second, doubled each time, a random part of it: many clients must not come back together."""
    return _FIRST_WAIT_S * float(2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 -- spreads load, guards nothing


def _may_retry(failure: httpx.TransportError | None) -> bool:
    """A connection that was never made may be tried again; one that broke may have done its work."""
    return failure is None or isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def _result_of(response: httpx.Response | None, failure: httpx.TransportError | None) -> dict[str, Any]:
    """The body. Raises ClientError for whatever is not a success in JSON."""
    if response is None:
        raise ConnectionFailed(f"the service did not answer ({type(failure).__name__})") from failure
    try:
        values = response.json()
    except ValueError:
        values = None
    if response.is_success and isinstance(values, dict):
        return values
    problem = values if isinstance(values, dict) else {}
    kind = str(problem.get("type") or "about:blank")
    is_ours = kind.startswith(TYPE_PREFIX) or response.status_code in _PATIENT
    raised = _ERRORS.get(response.status_code, ProblemRaised) if is_ours else ProblemRaised
    raise raised(
        kind,
        response.status_code,
        str(problem.get("title") or f"unexpected answer with status {response.status_code}"),
        str(problem.get("detail") or _where_to(response)),
        response.headers.get("x-request-id", ""),
        problem.get("errors") or (),
    )


def _where_to(response: httpx.Response) -> str:
    """What to do about a redirect, which is not followed with a key in the hand; empty for another answer."""
    if response.next_request is None:
        return ""
    address = response.next_request.url
    return f"it redirects to {address.scheme}://{address.netloc.decode()}: use that as base_url, if you trust it"


def _read(kind: type[Result], values: Mapping[str, Any]) -> Result:
    """A flat dataclass from JSON; names that it does not know are passed over, so the service may add some."""
    given = {
        field.name: tuple(value) if isinstance(value := values[field.name], list) else value
        for field in fields(kind)  # type: ignore[arg-type]
        if field.name in values
    }
    return kind(**given)


def _read_found(values: Mapping[str, Any]) -> Found:
    return _read(Found, {**values, "suggestions": _suggestions(values)})


def _read_suggestions(values: Mapping[str, Any]) -> TicketSuggestions:
    return _read(TicketSuggestions, {**values, "suggestions": _suggestions(values)})


def _suggestions(values: Mapping[str, Any]) -> tuple[Suggestion, ...]:
    return tuple(
        _read(
            Suggestion,
            {
                **item,
                "reasons": tuple(_read(Reason, reason) for reason in item["reasons"]),
                "snippets": tuple(_snippet(snippet) for snippet in item["snippets"]),
            },
        )
        for item in values["suggestions"]
    )


def _snippet(values: Mapping[str, Any]) -> Snippet:
    highlights = tuple((start, end) for start, end in values["highlights"])
    return Snippet(values["text"], highlights, _read(Citation, values["citation"]))
