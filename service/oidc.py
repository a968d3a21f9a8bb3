"""OpenID Connect without a network: what is asked of the provider, and what its tokens have to hold.

OpenID Connect Core 1.0 (the code flow), RFC 7636 (PKCE), RFC 7515 to 7519 (signed tokens), RFC 8725 (how not to read
them), RFC 9068 (access tokens as JWTs). `service.oidc_provider` talks to the provider.

    KBError
      ProviderUnavailable   it cannot be reached, or does not answer as it must
      SignInRefused         it did not let this person in
      TokenRefused          a token is not valid for us
        KeyUnknown          it is signed by a key that is not known (yet)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import jwt

from indexer.errors import KBError
from indexer.metadata import Audience
from service.identity import Identity
from service.settings import EVERYBODY, SingleSignOn

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones only: `none` proves nothing, and HS* would take the public key for a shared secret."""

_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}

LEEWAY_S = 60
"""How far the clocks of provider and service may differ."""

_REASONS = {
    "ExpiredSignatureError": "the token has expired",
    "ImmatureSignatureError": "the token is of a later time: compare the clocks",
    "InvalidAudienceError": "the token is meant for somebody else (aud)",
    "InvalidIssuerError": "the token is of another issuer (iss)",
    "InvalidSignatureError": "the token's signature is wrong",
}
_ACCESS_TYPES = {"", "jwt", "at+jwt", "application/at+jwt", "application/okta-internal-at+jwt"}
_STANDARD_TYPES = {"at+jwt", "application/at+jwt"}
_ID_TOKEN_ONLY = ("nonce", "at_hash", "c_hash", "s_hash")
_SCOPES = ("openid", "profile", "email")
_NAMES = ("name", "preferred_username", "email")
_LONGEST_NAME = 80

Claims = Mapping[str, Any]
Keys = Sequence[Mapping[str, Any]]
"""The public keys of a JWK set (RFC 7517)."""


class ProviderUnavailable(KBError):
    """The provider cannot be reached, or does not answer as it must. The message is for the operator."""


class SignInRefused(KBError):
    """The provider did not let this person in."""


class TokenRefused(KBError):
    """A token is not valid for this service. The message never quotes it."""


class KeyUnknown(TokenRefused):
    """No known key fits the token's signature."""


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE code verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def authorization_url(
    endpoint: str,
    sso: SingleSignOn,
    supported_scopes: Sequence[str],
    *,
    redirect_uri: str,
    state: str,
    nonce: str,
    verifier: str,
) -> str:
    """Where the browser goes to sign in (OpenID Connect Core, 3.1.2.1).

    The claim that decides is asked for as a scope where there is one of its name: Okta and Dex have `groups`.
    """
    wanted = [*_SCOPES, *([sso.claim] if sso.claim in supported_scopes and sso.claim not in _SCOPES else [])]
    query = {
        "response_type": "code",
        "client_id": sso.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(wanted),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def sign_out_url(endpoint: str, sso: SingleSignOn, id_token: str) -> str:
    """Where the browser goes to end its session at the provider (OpenID Connect RP-Initiated Logout 1.0, 2).

    No way back is named: providers refuse to sign out to an address that was not registered with them.
    """
    query = {"id_token_hint": id_token, "client_id": sso.client_id}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def read_id_token(token: str, keys: Keys, sso: SingleSignOn, nonce: str) -> Claims:
    """The claims of an ID token for this client and this sign-in (OpenID Connect Core, 3.1.3.7).

    Raises:
        KeyUnknown, TokenRefused: it is not valid.
    """
    header, claims = _read(token, keys, sso.issuer, sso.client_id)
    if _type_of(header) not in {"", "jwt"}:
        raise TokenRefused("this is not an ID token")
    authorized = claims.get("azp")
    is_shared = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if authorized != sso.client_id and (is_shared or authorized is not None):
        raise TokenRefused("the ID token was made for another client (azp)")
    if not _equal(claims.get("nonce"), nonce):
        raise TokenRefused("the ID token belongs to another sign-in (nonce)")
    return claims


def read_access_token(token: str, keys: Keys, sso: SingleSignOn) -> Claims:
    """The claims of an access token for the API (RFC 9068, and what providers made before it).

    Raises:
        KeyUnknown, TokenRefused: it is not valid, is an ID token, or is bound to a key that a bearer does not show.
    """
    assert sso.audience is not None, "access tokens are taken where there is an audience only"
    header, claims = _read(token, keys, sso.issuer, sso.audience)
    kind = _type_of(header)
    looks_like_id_token = kind not in _STANDARD_TYPES and (
        any(name in claims for name in _ID_TOKEN_ONLY)
        or claims.get("typ", "Bearer") != "Bearer"  # Keycloak
        or claims.get("token_use", "access") != "access"  # Cognito
    )
    if kind not in _ACCESS_TYPES or looks_like_id_token:
        raise TokenRefused("this is not an access token")
    if "cnf" in claims:
        raise TokenRefused("the token is bound to a key of its holder, which is not supported")
    return claims


def identity_of(claims: Claims, sso: SingleSignOn) -> Identity:
    """Whom valid claims stand for. The id is a digest, so that logs and limits name no account."""
    account = f"{claims['iss']}\n{claims['sub']}".encode("utf-8", "surrogatepass")
    return Identity(f"sso-{hashlib.sha256(account).hexdigest()[:16]}", _name_of(claims), audience_of(claims, sso))


def audience_of(claims: Claims, sso: SingleSignOn) -> Audience:
    """What the claims open: everything if the rule of the settings holds, else public articles."""
    if EVERYBODY in sso.internal:
        return Audience.INTERNAL
    value = find_claim(claims, sso.claim)
    if sso.claim == "email" and claims.get("email_verified") is not True:
        return Audience.PUBLIC  # whoever may type an address into a profile would choose what they see
    values = value if isinstance(value, list) else [value]
    is_engineer = any(isinstance(one, str) and one in sso.internal for one in values)
    return Audience.INTERNAL if is_engineer else Audience.PUBLIC


def find_claim(claims: Claims, name: str) -> Any:
    """The claim of that very name, or at that path, as Keycloak has `realm_access.roles`; None if it is absent."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _read(token: str, keys: Keys, issuer: str, audience: str) -> tuple[Mapping[str, Any], Claims]:
    """Header and claims after what ID and access tokens have in common: signature, issuer, audience, times."""
    try:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in ALGORITHMS:
            raise TokenRefused("the token's algorithm is not allowed")
        claims = jwt.decode(
            token,
            jwt.PyJWK(dict(_key_for(header, keys)), algorithm=algorithm),
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY_S,
            options={"require": ["iss", "sub", "aud", "exp", "iat"], "enforce_minimum_key_length": True},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise TokenRefused(_REASONS.get(type(error).__name__, "the token is not valid")) from error
    if not claims["sub"]:
        raise TokenRefused("the token names nobody")
    return header, claims


def _key_for(header: Mapping[str, Any], keys: Keys) -> Mapping[str, Any]:
    """The one key that may have signed. Key and algorithm must be of one family, whatever the token says."""
    algorithm, kid = header["alg"], header.get("kid")
    fitting = [
        key
        for key in keys
        if key.get("kty") == _FAMILIES[algorithm[:2]]
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
        and (kid is None or key.get("kid") == kid)
    ]
    if not fitting or (kid is None and len(fitting) > 1):
        raise KeyUnknown("the token is signed by a key that the provider does not publish")
    return fitting[0]


def _type_of(header: Mapping[str, Any]) -> str:
    return str(header.get("typ") or "").lower()


def _equal(given: Any, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _name_of(claims: Claims) -> str:
    names = (claims.get(name) for name in _NAMES)
    name = next((name for name in names if isinstance(name, str) and name.strip()), "")
    return "".join(character for character in name if character.isprintable()).strip()[:_LONGEST_NAME]
