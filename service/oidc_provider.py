"""The OpenID Connect provider over HTTP: discovery, keys, the exchange of a code, and what follows from a token.

OpenID Connect Discovery 1.0 and RP-Initiated Logout 1.0, RFC 6749 (token endpoint), RFC 9207 (issuer in the callback).
Nothing is asked before it is needed, so a provider that is down stops nobody who has a key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote_plus

import httpx

from service.identity import Identity
from service.oidc import (
    Claims,
    Keys,
    KeyUnknown,
    ProviderUnavailable,
    SignInRefused,
    authorization_url,
    find_claim,
    identity_of,
    read_access_token,
    read_id_token,
    sign_out_url,
)
from service.settings import EVERYBODY, SingleSignOn, discovery_address, is_safe_address

logger = logging.getLogger("kb.serve")

TIMEOUT_S = 10
_MAX_ANSWER_BYTES = 1_000_000
_KEEP_S = 3600
_AGAIN_S = 60
_RETRY_S = 5
_TOKEN_ERRORS = {
    "invalid_client": "check KB_OIDC_CLIENT_ID and KB_OIDC_CLIENT_SECRET",
    "unauthorized_client": "allow the client the authorization code flow at the provider",
    "invalid_grant": "the code was used, is too old, or belongs to another redirect URI",
    "invalid_request": "compare the client's registration with docs/settings.md",
    "invalid_scope": "allow the client the scopes openid, profile and email",
    "unsupported_grant_type": "allow the client the authorization code flow at the provider",
}
"""RFC 6749, 5.2, with what an operator can do. Other words of the answer are not repeated."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the discovery document says, as far as it is used here."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    token_auth_methods: tuple[str, ...]
    scopes: tuple[str, ...]
    names_itself_in_callback: bool


class Provider:
    """One provider, for one event loop."""

    def __init__(self, sso: SingleSignOn, clock: Callable[[], float] = time.monotonic) -> None:
        self.sso = sso
        self._tls: ssl.SSLContext | None = None
        self._metadata = _Kept(self._fetch_metadata, clock)
        self._keys = _Kept(self._fetch_keys, clock)

    async def sign_in_address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to sign in. Raises ProviderUnavailable."""
        metadata = await self._metadata.get()
        return authorization_url(
            metadata.authorization_endpoint,
            self.sso,
            metadata.scopes,
            redirect_uri=redirect_uri,
            state=state,
            nonce=nonce,
            verifier=verifier,
        )

    async def sign_out_address(self, id_token: str) -> str | None:
        """Where the browser ends the session that gave `id_token`; None if there is no such place.

        Raises:
            ProviderUnavailable: nothing is known of the provider (any more).
        """
        endpoint = (await self._metadata.get()).end_session_endpoint
        return sign_out_url(endpoint, self.sso, id_token) if endpoint else None

    async def check_issuer(self, given: str | None) -> None:
        """That a callback comes from this provider (RFC 9207). Raises SignInRefused, ProviderUnavailable."""
        expected = self.sso.issuer
        is_missing = given is None and (await self._metadata.get()).names_itself_in_callback
        if is_missing or (given is not None and given != expected):
            raise SignInRefused("the answer does not come from the provider that was asked")

    async def redeem(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Identity:
        """Whom the provider let in, for the code that it sent.

        Raises:
            SignInRefused: the provider does not take the code.
            TokenRefused: its ID token is not valid.
            ProviderUnavailable: it cannot be asked, or answers nonsense.
        """
        metadata = await self._metadata.get()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = self._authenticate(metadata, form)
        status, answer = await self._ask("token endpoint", metadata.token_endpoint, headers, form)
        if status >= 500:
            raise ProviderUnavailable(f"the token endpoint answers {status}")
        if status != 200:
            known = answer.get("error")
            hint = _TOKEN_ERRORS.get(known) if isinstance(known, str) else None
            raise SignInRefused(f"the token endpoint answers {status}" + (f", {known}: {hint}" if hint else ""))
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str):
            raise ProviderUnavailable("the token endpoint gives no ID token; is the scope openid allowed?")
        claims = await self._with_keys(lambda keys: read_id_token(token, keys, self.sso, nonce))
        if isinstance(access, str) and self._lacks_rule(claims):
            claims = {**await self._userinfo(metadata, access, claims["sub"]), **claims}
        return replace(identity_of(claims, self.sso), id_token=token)

    async def identify(self, access_token: str) -> Identity:
        """Whom an access token for the API stands for. Raises TokenRefused, ProviderUnavailable."""
        return identity_of(
            await self._with_keys(lambda keys: read_access_token(access_token, keys, self.sso)), self.sso
        )

    async def _with_keys(self, read: Callable[[Keys], Claims]) -> Claims:
        """Keys change: a token that no known one fits is worth another look at them, within limits."""
        try:
            return read(await self._keys.get())
        except KeyUnknown:
            return read(await self._keys.get(newer=True))

    def _lacks_rule(self, claims: Claims) -> bool:
        return EVERYBODY not in self.sso.internal and find_claim(claims, self.sso.claim) is None

    def _authenticate(self, metadata: Metadata, form: dict[str, str]) -> dict[str, str]:
        """Show the client's secret as the provider wants it (RFC 6749, 2.3.1), in the headers or in `form`."""
        secret = self.sso.client_secret
        if secret is not None and "client_secret_basic" in metadata.token_auth_methods:
            pair = f"{quote_plus(self.sso.client_id)}:{quote_plus(secret)}"
            return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        form["client_id"] = self.sso.client_id
        if secret is not None:
            if "client_secret_post" not in metadata.token_auth_methods:
                raise ProviderUnavailable(
                    "the provider takes no client secret; client_secret_basic and _post are known"
                )
            form["client_secret"] = secret
        return {}

    async def _userinfo(self, metadata: Metadata, access_token: str, subject: str) -> Claims:
        """Further claims of the same account (OpenID Connect Core, 5.3), or none if there is no such endpoint."""
        if metadata.userinfo_endpoint is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        status, claims = await self._ask("userinfo endpoint", metadata.userinfo_endpoint, headers)
        if status != 200 or claims.get("sub") != subject:
            raise ProviderUnavailable(f"the userinfo endpoint answers {status}, or about another account")
        return claims

    async def _fetch_metadata(self) -> Metadata:
        status, document = await self._ask("discovery document", discovery_address(self.sso.issuer))
        if status != 200:
            raise ProviderUnavailable(f"the discovery document below KB_OIDC_ISSUER answers {status}")
        if document.get("issuer") != self.sso.issuer:
            told = str(document.get("issuer"))[:200]
            raise ProviderUnavailable(f"the provider calls itself {told!r}: set KB_OIDC_ISSUER to exactly that")
        endpoints = {name: _endpoint(document, name) for name in _ENDPOINTS}
        ending = document.get("end_session_endpoint")
        return Metadata(
            authorization_endpoint=endpoints["authorization_endpoint"],
            token_endpoint=endpoints["token_endpoint"],
            jwks_uri=endpoints["jwks_uri"],
            userinfo_endpoint=_endpoint(document, "userinfo_endpoint") if document.get("userinfo_endpoint") else None,
            # Nobody's signing in depends on it, so a bad one is none.
            end_session_endpoint=ending if isinstance(ending, str) and is_safe_address(ending) else None,
            token_auth_methods=_texts(document, "token_endpoint_auth_methods_supported") or ("client_secret_basic",),
            scopes=_texts(document, "scopes_supported"),
            names_itself_in_callback=document.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _fetch_keys(self) -> Keys:
        status, document = await self._ask("keys", (await self._metadata.get()).jwks_uri)
        keys = document.get("keys")
        if status != 200 or not isinstance(keys, list):
            raise ProviderUnavailable(f"the keys (jwks_uri) cannot be read: status {status}")
        return [key for key in keys if isinstance(key, dict)]

    async def _ask(
        self, what: str, address: str, headers: Mapping[str, str] | None = None, form: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer, `{}` if it is none. Raises ProviderUnavailable if none comes in time."""
        body = bytearray()
        try:
            if self._tls is None:
                self._tls = await asyncio.to_thread(httpx.create_ssl_context)  # reads all certificates: 0.1 s
            async with (
                asyncio.timeout(TIMEOUT_S),
                httpx.AsyncClient(verify=self._tls, timeout=TIMEOUT_S) as client,
                client.stream(
                    "POST" if form is not None else "GET",
                    address,
                    headers={"Accept": "application/json", **(headers or {})},
                    data=form,
                ) as response,
            ):
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise ProviderUnavailable(f"the {what} is larger than {_MAX_ANSWER_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise ProviderUnavailable(f"the {what} cannot be fetched ({type(error).__name__})") from error
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        return response.status_code, answer if isinstance(answer, dict) else {}


class _Kept(Generic[T]):
    """Something of the provider's that is fetched when it is wanted, kept for an hour, and never asked for in a hurry.

    Those who want it at the same time share one fetch. What is old is better than nothing: where a new fetch fails, it
    stays.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._fetched = self._tried = float("-inf")
        self._why = "the provider has not answered yet"

    async def get(self, *, newer: bool = False) -> T:
        """The thing; with `newer` fetched again unless that was tried within a minute. Raises ProviderUnavailable."""
        if self._value is not None and not newer and (self._lock.locked() or not self._is_due(newer)):
            return self._value
        async with self._lock:
            if self._is_due(newer):
                self._tried = self._clock()
                try:
                    self._value = await self._fetch()
                    self._fetched = self._clock()
                except ProviderUnavailable as error:
                    self._why = str(error)
                    logger.warning("single sign-on: %s", error)
            if self._value is None:
                raise ProviderUnavailable(self._why)
            return self._value

    def _is_due(self, newer: bool) -> bool:
        now = self._clock()
        if self._value is None:
            return now >= self._tried + _RETRY_S
        return (newer or now >= self._fetched + _KEEP_S) and now >= self._tried + _AGAIN_S


_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    address = document.get(name)
    if not isinstance(address, str) or not is_safe_address(address):
        raise ProviderUnavailable(f"the provider's {name} is missing, or not an https address")
    return address


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = document.get(name)
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()
