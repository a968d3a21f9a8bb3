"""A small OpenID Connect provider on loopback: real HTTP, real keys, and a knob for everything that can go wrong."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from service.http.demo import serving_in_thread

CLIENT_ID = "console"
CLIENT_SECRET = "s3cret/with:signs+"
ASSISTANT_ID = "assistant"
"""A public client that wants access tokens for the API."""
AUDIENCE = "api://kb"
ENGINEERS = "support engineers"
NAME = "Ada Lovelace"
SUBJECT = "00u1a2b3c4d5"

_PAGE = """<!doctype html><title>Acme ID</title><link rel="icon" href="data:,">
<form method="post"><button>Continue as Ada</button></form>"""
_GOODBYE = """<!doctype html><title>Acme ID</title><link rel="icon" href="data:,"><h1>Goodbye, Ada</h1>"""
_JWK: dict[str, Any] = {
    "RS": jwt.algorithms.RSAAlgorithm.to_jwk,
    "PS": jwt.algorithms.RSAAlgorithm.to_jwk,
    "ES": jwt.algorithms.ECAlgorithm.to_jwk,
    "Ed": jwt.algorithms.OKPAlgorithm.to_jwk,
}
_CURVES: dict[str, Any] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}


@dataclass(frozen=True)
class SigningKey:
    """A private key that the provider signs with.

    Attributes:
        says_alg: whether its published half names the algorithm; many providers leave it out.
    """

    kid: str
    algorithm: str
    private: Any
    says_alg: bool = True

    @property
    def jwk(self) -> dict[str, Any]:
        public = json.loads(str(_JWK[self.algorithm[:2]](self.private.public_key())))
        named = {"alg": self.algorithm} if self.says_alg else {}
        return {**public, **named, "kid": self.kid, "use": "sig"}


def make_key(algorithm: str = "RS256", kid: str = "", *, bits: int = 2048, says_alg: bool = True) -> SigningKey:
    """A fresh key."""
    private: Any
    if algorithm[:2] in {"RS", "PS"}:
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = ec.generate_private_key(_CURVES[algorithm]())
    return SigningKey(kid or secrets.token_hex(4), algorithm, private, says_alg)


@cache
def _usual_key() -> SigningKey:
    return make_key()


@dataclass
class FakeProvider:
    """What the provider says and does; change it before the request that should meet it.

    Attributes:
        claims: of the account, in the ID token and in access tokens.
        in_id_token: override single claims of the next ID tokens; None leaves one out.
        userinfo: claims of the userinfo endpoint besides `sub`.
        discovery: overrides of the discovery document; None leaves a member out.
        down: whether every request is answered with 503.
        error: what the authorization endpoint answers instead of a code.
        callback: overrides of the callback's parameters.
        asks: whether the person has to press a button at the provider.
        asked: paths of all requests, oldest first.
    """

    issuer: str
    keys: list[SigningKey] = field(default_factory=lambda: [_usual_key()])
    claims: dict[str, Any] = field(default_factory=lambda: {"name": NAME, "groups": ["everybody", ENGINEERS]})
    in_id_token: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    discovery: dict[str, Any] = field(default_factory=dict)
    down: bool = False
    error: str = ""
    callback: dict[str, str] = field(default_factory=dict)
    asks: bool = False
    secret: str | None = CLIENT_SECRET
    asked: list[str] = field(default_factory=list)
    authorized: list[dict[str, str]] = field(default_factory=list)
    ended: list[dict[str, str]] = field(default_factory=list)
    token_forms: list[dict[str, str]] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Settings of a service that uses this provider."""
        return {
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(self.secret) if self.secret else None,
            "oidc_name": "Acme ID",
            "oidc_internal": ENGINEERS,
            "oidc_audience": AUDIENCE,
            **changes,
        }

    def sign(self, claims: dict[str, Any], key: SigningKey | None = None, **header: Any) -> str:
        """A token with exactly these claims, None left out."""
        key = key or self.keys[0]
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key.private, key.algorithm, {"kid": key.kid, **header})

    def common(self, audience: Any) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.issuer, "sub": SUBJECT, "aud": audience, "iat": now, "exp": now + 300}

    def id_token(self, of_nonce: str, /, **changes: Any) -> str:
        return self.sign({**self.common(CLIENT_ID), "nonce": of_nonce, **self.claims, **changes})

    def access_token(self, key: SigningKey | None = None, header_typ: str = "at+jwt", /, **changes: Any) -> str:
        claims = {**self.common(AUDIENCE), "client_id": ASSISTANT_ID, "scope": "kb.read", **self.claims, **changes}
        return self.sign(claims, key, typ=header_typ)

    def app(self) -> Starlette:
        routes = [
            Route("/.well-known/openid-configuration", self._discover),
            Route("/authorize", self._authorize, methods=["GET", "POST"]),
            Route("/token", self._token, methods=["POST"]),
            Route("/keys", self._keys),
            Route("/userinfo", self._userinfo),
            Route("/logout", self._log_out),
        ]
        return Starlette(routes=routes)

    def _noted(self, request: Request) -> Response | None:
        self.asked.append(request.url.path)
        return JSONResponse({"error": "server_error"}, 503) if self.down else None

    async def _discover(self, request: Request) -> Response:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "scopes_supported": ["openid", "profile", "email", "groups", "phone"],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            **self.discovery,
        }
        kept = {name: value for name, value in document.items() if value is not None}
        return self._noted(request) or JSONResponse(kept)

    async def _authorize(self, request: Request) -> Response:
        if refusal := self._noted(request):
            return refusal
        if self.asks and request.method == "GET":
            return HTMLResponse(_PAGE)
        asked = dict(request.query_params)
        self.authorized.append(asked)
        assert asked["response_type"] == "code"
        assert asked["client_id"] in {CLIENT_ID, ASSISTANT_ID}
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        told = {"error": self.error, "error_description": "<b>words</b>"} if self.error else {"code": code}
        told |= {"state": asked["state"], **self.callback}
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(told)}", 302)

    async def _token(self, request: Request) -> Response:
        if refusal := self._noted(request):
            return refusal
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.token_forms.append(form)
        if not self._is_client(request, form):
            return JSONResponse({"error": "invalid_client", "error_description": "secret words"}, 401)
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or (asked["code_challenge_method"], asked["code_challenge"]) != ("S256", challenge)
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        if asked["client_id"] == ASSISTANT_ID:
            return JSONResponse({"access_token": self.access_token(), "token_type": "Bearer", "expires_in": 300})
        token = self.id_token(asked["nonce"], **self.in_id_token)
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": token})

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        header = request.headers.get("authorization", "")
        if header.startswith("Basic "):
            given = base64.b64decode(header[6:]).decode().split(":")
            return [unquote_plus(part) for part in given] == [CLIENT_ID, self.secret]
        shown = (form.get("client_id"), form.get("client_secret"))
        return shown in {(CLIENT_ID, self.secret), (ASSISTANT_ID, None)}

    async def _keys(self, request: Request) -> Response:
        return self._noted(request) or JSONResponse({"keys": [key.jwk for key in self.keys]})

    async def _log_out(self, request: Request) -> Response:
        self.ended.append(dict(request.query_params))
        return self._noted(request) or HTMLResponse(_GOODBYE)

    async def _userinfo(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer opaque"
        return self._noted(request) or JSONResponse({"sub": SUBJECT, **self.userinfo})


@contextlib.contextmanager
def running_provider(host: str = "127.0.0.1") -> Iterator[FakeProvider]:
    """A provider on a free port, which stops with the block; `host` is how its issuer calls it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    provider = FakeProvider(f"http://{host}:{listener.getsockname()[1]}")
    with serving_in_thread(provider.app(), listener):
        yield provider
