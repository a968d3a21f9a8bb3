"""Which tokens are taken: real keys, and a token for everything that may be wrong with one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from indexer.metadata import Audience
from service.oidc import (
    ALGORITHMS,
    KeyUnknown,
    TokenRefused,
    authorization_url,
    challenge_of,
    find_claim,
    identity_of,
    read_access_token,
    read_id_token,
)
from service.settings import SingleSignOn
from tests.oidc_world import AUDIENCE, CLIENT_ID, ENGINEERS, NAME, SUBJECT, FakeProvider, SigningKey, make_key

ISSUER = "https://id.example.com"
SSO = SingleSignOn(ISSUER, CLIENT_ID, None, "Acme ID", "groups", frozenset({ENGINEERS}), AUDIENCE)
NONCE = "n-0S6_WzA2Mj"
KEY = make_key()


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider(ISSUER, [KEY])


def keys_of(*keys: SigningKey) -> list[dict[str, Any]]:
    return [key.jwk for key in keys or (KEY,)]


def segment(value: bytes | dict[str, Any]) -> str:
    raw = json.dumps(value).encode() if isinstance(value, dict) else value
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_valid_id_token_gives_its_claims(provider: FakeProvider) -> None:
    claims = read_id_token(provider.id_token(NONCE), keys_of(), SSO, NONCE)
    assert claims["sub"] == SUBJECT
    for aud, azp in (([CLIENT_ID], None), (CLIENT_ID, CLIENT_ID), ([CLIENT_ID, "other"], CLIENT_ID)):
        assert read_id_token(provider.id_token(NONCE, aud=aud, azp=azp), keys_of(), SSO, NONCE)["sub"] == SUBJECT


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("says_alg", [True, False])
def test_every_allowed_algorithm_is_understood(provider: FakeProvider, algorithm: str, says_alg: bool) -> None:
    key = make_key(algorithm, says_alg=says_alg)
    provider.keys = [key]
    assert read_id_token(provider.id_token(NONCE), keys_of(KEY, key), SSO, NONCE)["sub"] == SUBJECT
    assert read_access_token(provider.access_token(), keys_of(KEY, key), SSO)["sub"] == SUBJECT


HOUR = 3600


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"iss": None}, "not valid"),
        ({"aud": "other"}, "somebody else"),
        ({"aud": ["other"]}, "somebody else"),
        ({"aud": None}, "not valid"),
        ({"aud": AUDIENCE}, "somebody else"),
        ({"aud": [CLIENT_ID, "other"]}, "another client"),
        ({"aud": [CLIENT_ID, "other"], "azp": "other"}, "another client"),
        ({"azp": "other"}, "another client"),
        ({"exp": int(time.time()) - 90}, "expired"),
        ({"exp": None}, "not valid"),
        ({"exp": "soon"}, "not valid"),
        ({"iat": int(time.time()) + HOUR}, "later time"),
        ({"iat": None}, "not valid"),
        ({"nbf": int(time.time()) + HOUR}, "later time"),
        ({"sub": None}, "not valid"),
        ({"sub": ""}, "names nobody"),
        ({"sub": 7}, "not valid"),
        ({"nonce": "another"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"nonce": ["n-0S6_WzA2Mj"]}, "another sign-in"),
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    provider: FakeProvider, changes: dict[str, Any], told: str
) -> None:
    token = provider.id_token(NONCE, **changes)
    with pytest.raises(TokenRefused, match=told) as refused:
        read_id_token(token, keys_of(), SSO, NONCE)
    assert token not in str(refused.value)
    assert SUBJECT not in str(refused.value)


def test_clocks_may_differ_a_little(provider: FakeProvider) -> None:
    now = int(time.time())
    token = provider.id_token(NONCE, exp=now - 20, iat=now + 20)
    assert read_id_token(token, keys_of(), SSO, NONCE)["sub"] == SUBJECT


def forged(how: str, provider: FakeProvider) -> str:
    """A token that claims everything and was never signed by the provider."""
    claims = {**provider.common(AUDIENCE), **provider.claims}
    pem = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    if how in {"none", "None", "HS256 with the public key", "HS256 with the key as JSON"}:
        algorithm = how.partition(" ")[0]
        signed = f"{segment({'alg': algorithm, 'kid': KEY.kid, 'typ': 'at+jwt'})}.{segment(claims)}"
        secret = pem if "public" in how else json.dumps(KEY.jwk).encode()
        mac = b"" if algorithm.lower() == "none" else hmac.digest(secret, signed.encode(), hashlib.sha256)
        return f"{signed}.{segment(mac)}"
    if how == "no algorithm":
        return f"{segment({'kid': KEY.kid})}.{segment(claims)}.{segment(b'x')}"
    if how == "another key of the same kid":
        return provider.sign(claims, make_key(kid=KEY.kid), typ="at+jwt")
    if how == "its own key in the header":
        own = make_key(kid=KEY.kid)
        return provider.sign(claims, own, typ="at+jwt", jwk=own.jwk, jku="https://evil.example/keys")
    if how == "changed claims":
        header, _, signature = provider.access_token().split(".")
        return f"{header}.{segment({**claims, 'groups': [ENGINEERS], 'x': 1})}.{signature}"
    if how == "unknown extension":
        return provider.sign(claims, KEY, typ="at+jwt", crit=["x"], x=1)
    return how


@pytest.mark.parametrize(
    "how",
    [
        *("none", "None", "HS256 with the public key", "HS256 with the key as JSON", "no algorithm", "changed claims"),
        *("another key of the same kid", "its own key in the header", "unknown extension"),
        *("a.b.c", "..", "é.é.é", "W10.W10.W10"),
    ],
)
def test_a_forged_token_is_refused(provider: FakeProvider, how: str) -> None:
    token = forged(how, provider)
    with pytest.raises(TokenRefused):
        read_access_token(token, keys_of(), SSO)


def test_a_token_is_checked_by_a_key_of_its_own_family_only(provider: FakeProvider) -> None:
    other = make_key("ES256", KEY.kid)
    with pytest.raises(KeyUnknown):
        read_access_token(provider.access_token(), keys_of(other), SSO)
    pinned = {**KEY.jwk, "alg": "RS512"}
    with pytest.raises(KeyUnknown):
        read_access_token(provider.access_token(), [pinned], SSO)
    with pytest.raises(KeyUnknown):
        read_access_token(provider.access_token(), [{**KEY.jwk, "use": "enc"}], SSO)
    secret = {"kty": "oct", "kid": KEY.kid, "k": segment(b"x" * 32)}
    with pytest.raises(KeyUnknown):
        read_access_token(provider.access_token(), [secret], SSO)
    assert read_access_token(provider.access_token(), keys_of(other, KEY), SSO)


def test_a_short_rsa_key_is_refused(provider: FakeProvider) -> None:
    short = make_key(bits=1024)
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = provider.access_token(short)
    with pytest.raises(TokenRefused):
        read_access_token(token, keys_of(short), SSO)


def test_a_token_that_names_no_key_fits_the_only_one(provider: FakeProvider) -> None:
    claims = {**provider.common(AUDIENCE)}
    token = jwt.encode(claims, KEY.private, "RS256", {"typ": "at+jwt"})
    assert read_access_token(token, keys_of(KEY, make_key("ES256")), SSO)
    with pytest.raises(KeyUnknown):
        read_access_token(token, keys_of(KEY, make_key()), SSO)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "application/okta-internal-at+jwt"])
def test_access_tokens_as_providers_make_them(provider: FakeProvider, typ: str) -> None:
    assert read_access_token(provider.access_token(None, typ), keys_of(), SSO)["sub"] == SUBJECT
    assert read_access_token(provider.access_token(None, typ, aud=["other", AUDIENCE]), keys_of(), SSO)


@pytest.mark.parametrize(
    ("typ", "changes"),
    [
        ("JWT", {"nonce": NONCE}),
        ("JWT", {"at_hash": "x"}),
        ("JWT", {"typ": "ID"}),
        ("JWT", {"typ": "Refresh"}),
        ("JWT", {"token_use": "id"}),
        ("logout+jwt", {}),
        ("dpop+jwt", {}),
        ("at+jwt", {"aud": CLIENT_ID}),
        ("at+jwt", {"aud": [CLIENT_ID, "account"]}),
        ("at+jwt", {"cnf": {"jkt": "x"}}),
        ("at+jwt", {"exp": int(time.time()) - 90}),
        ("at+jwt", {"iss": "https://evil.example"}),
    ],
)
def test_what_is_no_access_token_for_the_api_is_refused(
    provider: FakeProvider, typ: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(TokenRefused):
        read_access_token(provider.access_token(None, typ, **changes), keys_of(), SSO)


def test_an_access_token_is_no_id_token(provider: FakeProvider) -> None:
    with pytest.raises(TokenRefused, match="not an ID token"):
        read_id_token(provider.access_token(aud=CLIENT_ID, nonce=NONCE), keys_of(), SSO, NONCE)


def rule(claim: str, *values: str) -> SingleSignOn:
    return SingleSignOn(ISSUER, CLIENT_ID, None, "x", claim, frozenset(values), None)


@pytest.mark.parametrize(
    ("claims", "sso", "internal"),
    [
        ({"groups": ["a", ENGINEERS]}, SSO, True),
        ({"groups": ENGINEERS}, SSO, True),
        ({"groups": ["a"]}, SSO, False),
        ({"groups": [ENGINEERS.upper()]}, SSO, False),
        ({"groups": f"a {ENGINEERS}"}, SSO, False),
        ({"groups": {ENGINEERS: True}}, SSO, False),
        ({"groups": [[ENGINEERS]]}, SSO, False),
        ({"groups": None}, SSO, False),
        ({}, SSO, False),
        ({}, rule("groups", "*"), True),
        ({"groups": ["*"]}, SSO, False),
        ({"hd": "example.com"}, rule("hd", "example.com"), True),
        ({"realm_access": {"roles": ["kb"]}}, rule("realm_access.roles", "kb"), True),
        ({"realm_access": ["roles"]}, rule("realm_access.roles", "kb"), False),
        ({"https://x.example/groups": ["kb"]}, rule("https://x.example/groups", "kb"), True),
        ({"email": "a@x.example", "email_verified": True}, rule("email", "a@x.example"), True),
        ({"email": "a@x.example"}, rule("email", "a@x.example"), False),
        ({"email": "a@x.example", "email_verified": "false"}, rule("email", "a@x.example"), False),
    ],
)
def test_who_is_an_engineer(claims: dict[str, Any], sso: SingleSignOn, internal: bool) -> None:
    holder = identity_of({"iss": ISSUER, "sub": SUBJECT, **claims}, sso)
    assert holder.audience is (Audience.INTERNAL if internal else Audience.PUBLIC)


def test_a_claim_of_that_very_name_comes_before_a_path() -> None:
    assert find_claim({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert find_claim({"a": {"b": 2}}, "a.b") == 2
    assert find_claim({"a": 1}, "a.b") is None


def test_the_id_names_nobody_and_is_the_same_each_time() -> None:
    one = identity_of({"iss": ISSUER, "sub": "ada@x.example", "name": NAME}, SSO)
    assert one.id == identity_of({"iss": ISSUER, "sub": "ada@x.example"}, SSO).id
    assert one.id != identity_of({"iss": "https://other.example", "sub": "ada@x.example"}, SSO).id
    assert "ada" not in one.id
    assert len(one.id) <= 40


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": NAME, "email": "a@x.example"}, NAME),
        ({"name": " ", "preferred_username": "ada"}, "ada"),
        ({"email": "a@x.example"}, "a@x.example"),
        ({"name": ["Ada"], "email": 7}, ""),
        ({"name": "A\n\u202eda" + "x" * 100}, "Ada" + "x" * 77),
    ],
)
def test_the_name_that_is_shown(claims: dict[str, Any], name: str) -> None:
    assert identity_of({"iss": ISSUER, "sub": SUBJECT, **claims}, SSO).name == name


def test_the_challenge_is_that_of_the_rfc() -> None:
    """RFC 7636, appendix B."""
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_claim_is_asked_for_as_a_scope_where_there_is_one() -> None:
    def address(sso: SingleSignOn, *supported: str) -> str:
        return authorization_url(
            "https://x/a?p=1", sso, supported, redirect_uri="r", state="s", nonce="n", verifier="v"
        )

    assert address(SSO, "groups").startswith("https://x/a?p=1&response_type=code&client_id=console&")
    assert "scope=openid+profile+email+groups&" in address(SSO, "openid", "groups")
    assert "scope=openid+profile+email&" in address(SSO, "openid")
    assert "scope=openid+profile+email&" in address(rule("email", "x"), "email")
