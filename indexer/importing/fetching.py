"""HTTP to one host: credentials that never leave it, time limits, patience with rate limits, bounded answers."""

from __future__ import annotations

import base64
import email.utils
import ipaddress
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx

from indexer.errors import PageError, SourceError
from indexer.importing.pages import PageUnavailable

TIMEOUT_S = 30.0
ATTEMPTS = 6
MAX_WAIT_S = 300.0
"""Longest wait that a server may ask for with Retry-After; past it the run ends and says when to come back."""
MAX_ANSWER_BYTES = 64 * 1024**2
_MAX_REDIRECTS = 5
_RETRIED = frozenset({429, 500, 502, 503, 504})

USER_VARIABLE, TOKEN_VARIABLE = "KB_IMPORT_USER", "KB_IMPORT_TOKEN"


class Unavailable(SourceError):
    """The server does not answer, after all attempts."""


class Forbidden(SourceError):
    """The account may not read this (403)."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """A user with a password or API token, or a bearer token alone. Has no `repr` that shows them."""

    user: str = ""
    token: str = ""

    def header(self, user_suffix: str = "") -> dict[str, str]:
        """The Authorization header; empty without a token."""
        if not self.token:
            return {}
        if not self.user:
            return {"Authorization": f"Bearer {self.token}"}
        pair = f"{self.user}{user_suffix}:{self.token}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def load_credentials(file: Path | None, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Credentials from `file` (`KB_IMPORT_USER=` and `KB_IMPORT_TOKEN=` lines), else from the environment.

    Raises:
        SourceError: the file cannot be read or holds something else.
    """
    values = dict(environment)
    if file is not None:
        values = {}
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"credentials file {file} cannot be read") from error
        for number, line in enumerate(lines, start=1):
            name, found, value = line.strip().partition("=")
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if not found or name.strip() not in {USER_VARIABLE, TOKEN_VARIABLE}:
                raise SourceError(f"{file}:{number}: write {USER_VARIABLE}=... and {TOKEN_VARIABLE}=... lines")
            values[name.strip()] = value.strip()
    user, token = values.get(USER_VARIABLE, "").strip(), values.get(TOKEN_VARIABLE, "").strip()
    if user and not token:
        raise SourceError(f"{USER_VARIABLE} is set but {TOKEN_VARIABLE} is not")
    if not (user + token).isprintable():
        raise SourceError(f"{USER_VARIABLE} or {TOKEN_VARIABLE} holds a control character; copy it again")
    if not user and not token.isascii():
        raise SourceError(f"{TOKEN_VARIABLE} holds a character that no token has; copy it again")
    return Credentials(user, token)


def check_base(address: str) -> str:
    """`address` as `scheme://host[:port][/path]` without a closing slash.

    Raises:
        SourceError: it is no web address, carries credentials, or is plain HTTP to another machine.
    """
    try:
        parts = urlsplit(address.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SourceError(f"{address!r} is not a web address") from error
    if parts.scheme not in {"https", "http"} or not host:
        raise SourceError(f"{address!r} is not a web address; write https://HOST")
    if parts.username or parts.password:
        raise SourceError(f"take the credentials out of the address and set {USER_VARIABLE} and {TOKEN_VARIABLE}")
    if parts.scheme == "http" and not is_loopback(host):
        raise SourceError(f"credentials are not sent over plain HTTP; write https://{host}")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Fetcher:
    """GET requests below one base address. Other hosts are refused, whoever names them, but for downloads (`stream`).

    Attributes:
        base: scheme, host and port, and a path if the product is served below one.
    """

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        *,
        timeout_s: float = TIMEOUT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base = base
        self._origin = _origin(base)
        self._headers = {"User-Agent": "symptom-kb", **headers}
        self._sleep = sleep
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get_json(
        self, path: str, params: Mapping[str, str] | None = None, *, of_page: bool = False
    ) -> tuple[Any, httpx.Headers]:
        """The JSON answer of `path`, relative to the base or absolute on the same host, and its headers.

        Args:
            of_page: the answer concerns one page alone, so a refusal or failure is a PageError.

        Raises:
            SourceError: refused, unreachable, or not JSON.
            PageError: there is no such thing (404 or 410).
        """
        try:
            body, answer = self._get(self._address(path), params, {"Accept": "application/json"})
        except (Unavailable, Forbidden) as error:
            if not of_page:
                raise
            kind = PageUnavailable if isinstance(error, Unavailable) else PageError
            raise kind(str(error)) from error
        try:
            return json.loads(body), answer
        except (ValueError, RecursionError) as error:
            raise SourceError(
                f"{self.base} answered with something else than JSON; check the address, and that the account may use "
                "the API"
            ) from error

    def stream(self, address: str) -> Iterator[bytes]:
        """The bytes at `address`, which may be on another host, or led there: that is asked without the credentials.

        Raises:
            PageError: they cannot be had.
        """
        url = self._absolute(address)
        self._check_elsewhere(url)
        for _ in range(_MAX_REDIRECTS + 1):
            own = _origin(url) == self._origin
            headers = self._headers if own else {"User-Agent": "symptom-kb"}
            try:
                with self._client.stream("GET", url, headers=headers) as answer:
                    if answer.is_redirect:
                        url = _redirected(url, answer)
                        self._check_elsewhere(url)
                        continue
                    if answer.status_code != 200:
                        raise PageError(f"cannot be downloaded (HTTP {answer.status_code})")
                    if not own and _is_page(answer.headers):
                        raise PageError("cannot be downloaded: another host answered with a page, as for signing in")
                    yield from answer.iter_bytes(64 * 1024)
                    return
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise PageError(f"cannot be downloaded ({_reason(error)})") from error
        raise PageError("cannot be downloaded: it is redirected too often")

    def _check_elsewhere(self, url: str) -> None:
        parts = urlsplit(url)
        if _origin(url) == self._origin:
            return
        if parts.scheme != "https" and not (is_loopback(parts.hostname or "") and self.base.startswith("http://")):
            raise PageError("cannot be downloaded: it is at an address that is not https")

    def _absolute(self, path: str) -> str:
        """Absolute address of `path`; an address that starts with `/` is below the host, any other below the base.

        Empty for what is no address.
        """
        if not path.startswith(("/", "http:", "https:")):
            return f"{self.base}/{path}"
        try:
            return urljoin(f"{self._origin}/", path)
        except ValueError:
            return ""

    def _address(self, path: str) -> str:
        """`_absolute`, on this host. Raises SourceError for another."""
        url = self._absolute(path)
        if _origin(url) != self._origin:
            raise SourceError(f"{self.base} refers to another host ({urlsplit(url).hostname}); that is not followed")
        return url

    def _get(
        self, url: str, params: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[bytes, httpx.Headers]:
        failure = ""
        for attempt in range(ATTEMPTS):
            try:
                status, body, answer = self._once(url, params, headers)
            except (httpx.TransportError, httpx.DecodingError) as error:
                failure = _reason(error)
                self._wait(attempt, None)
                continue
            if status in _RETRIED:
                failure = f"HTTP {status}"
                self._wait(attempt, answer.get("retry-after"))
                continue
            return self._judge(url, status, body), answer
        raise Unavailable(f"{self.base} does not answer after {ATTEMPTS} attempts ({failure}); try again later")

    def _once(
        self, url: str, params: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, httpx.Headers]:
        for _ in range(_MAX_REDIRECTS + 1):
            with self._client.stream("GET", url, params=params, headers={**self._headers, **headers}) as answer:
                if answer.is_redirect:
                    url, params = self._address(_redirected(url, answer)), None
                    continue
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER_BYTES:
                        raise SourceError(f"{self.base} sent more than {MAX_ANSWER_BYTES // 1024**2} MiB in one answer")
                return answer.status_code, bytes(body), answer.headers
        raise SourceError(f"{self.base} redirects too often; check the address")

    def _judge(self, url: str, status: int, body: bytes) -> bytes:
        if status == 200:
            return body
        if status in {404, 410}:
            raise PageError("is not there, or the account may not read it (HTTP 404)")
        if status == 401:
            raise SourceError(f"{self.base} refused the credentials; check {USER_VARIABLE} and {TOKEN_VARIABLE}")
        if status == 403:
            raise Forbidden(f"{self.base} forbids this account to read {urlsplit(url).path}; see docs/import.md")
        raise SourceError(f"{self.base} answered HTTP {status} for {urlsplit(url).path}")

    def _wait(self, attempt: int, retry_after: str | None) -> None:
        if attempt == ATTEMPTS - 1:
            return
        asked_s = parse_retry_after(retry_after)
        if asked_s is None:
            self._sleep(min(60.0, 2.0**attempt) * random.uniform(0.5, 1.0))  # noqa: S311  jitter, not a secret
            return
        if asked_s > MAX_WAIT_S:
            raise SourceError(f"{self.base} asks to wait {asked_s:.0f} s; run the import again after that")
        self._sleep(asked_s)


def parse_retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110: seconds or a date); None if it says nothing readable."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return ""
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _redirected(url: str, answer: httpx.Response) -> str:
    try:
        return urljoin(url, str(answer.headers.get("location", "")))
    except ValueError:
        return ""


def _is_page(headers: httpx.Headers) -> bool:
    """Whether an answer is a web page to look at, not one to keep."""
    return headers.get("content-type", "").startswith("text/html") and "content-disposition" not in headers


def _reason(error: Exception) -> str:
    return "no answer in time" if isinstance(error, httpx.TimeoutException) else type(error).__name__
