"""What is asked of a provider, how often, and what is made of its answers: over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from indexer.metadata import Audience
from service.identity import Identity
from service.oidc import KeyUnknown, ProviderUnavailable, SignInRefused, TokenRefused
from service.oidc_provider import Provider
from service.settings import Settings, read_single_sign_on
from tests.oidc_world import (
    CLIENT_ID,
    CLIENT_SECRET,
    ENGINEERS,
    NAME,
    FakeProvider,
    SigningKey,
    make_key,
    running_provider,
)

T = TypeVar("T")
CALLBACK = "https://kb.example.com/sign-in/callback"


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with running_provider() as provider:
        yield provider


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(fake: FakeProvider, use: Callable[[Provider], Awaitable[T]], clock: Clock | None = None, **changes: Any) -> T:
    """What `use` makes of a fresh client of the provider."""

    async def within_a_loop() -> T:
        sso = read_single_sign_on(Settings(**fake.settings(**changes)))
        assert sso is not None
        return await use(Provider(sso, clock or Clock()))

    return asyncio.run(within_a_loop())


async def sign_in(provider: Provider, *, nonce: str = "n", verifier: str = "v" * 43) -> Identity:
    """As a browser and the console do it together."""
    address = await provider.sign_in_address(CALLBACK, "state", "n", "v" * 43)
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(address)
    back = httpx.URL(answer.headers["location"]).params
    return await provider.redeem(back["code"], CALLBACK, nonce, verifier)


def test_a_code_is_exchanged_for_whom_it_stands_for(fake: FakeProvider) -> None:
    holder = run(fake, sign_in)
    assert (holder.name, holder.audience, holder.key_file) == (NAME, Audience.INTERNAL, False)
    asked = fake.authorized[0]
    assert asked["code_challenge_method"] == "S256"
    assert "v" * 43 not in asked.values()
    assert fake.token_forms[0]["code_verifier"] == "v" * 43
    assert asked["scope"] == "openid profile email groups"
    assert fake.asked == ["/.well-known/openid-configuration", "/authorize", "/token", "/keys"]


@pytest.mark.parametrize(
    "methods", [None, ["client_secret_post"], ["none", "client_secret_post", "client_secret_basic"]]
)
def test_the_secret_is_shown_as_the_provider_wants_it(fake: FakeProvider, methods: list[str] | None) -> None:
    fake.discovery["token_endpoint_auth_methods_supported"] = methods
    assert run(fake, sign_in).is_internal
    in_form = fake.token_forms[0].get("client_secret")
    assert in_form == (CLIENT_SECRET if methods == ["client_secret_post"] else None)


def test_a_public_client_shows_pkce_alone(fake: FakeProvider) -> None:
    fake.secret = None
    assert run(fake, sign_in).is_internal
    assert fake.token_forms[0]["client_id"] == CLIENT_ID
    assert "client_secret" not in fake.token_forms[0]


def test_a_method_that_is_not_known_is_told(fake: FakeProvider) -> None:
    fake.discovery["token_endpoint_auth_methods_supported"] = ["private_key_jwt"]
    with pytest.raises(ProviderUnavailable, match="client_secret_basic and _post"):
        run(fake, sign_in)


def test_a_wrong_verifier_gets_no_token(fake: FakeProvider) -> None:
    with pytest.raises(SignInRefused, match="invalid_grant"):
        run(fake, lambda provider: sign_in(provider, verifier="w" * 43))


def test_a_refused_client_is_told_to_the_operator_without_the_answers_words(fake: FakeProvider) -> None:
    with pytest.raises(SignInRefused, match=r"invalid_client: check KB_OIDC_CLIENT_ID") as refused:
        run(fake, sign_in, oidc_client_id=CLIENT_ID, oidc_client_secret=None)
    assert "secret words" not in str(refused.value)


def test_a_token_of_another_sign_in_is_refused(fake: FakeProvider) -> None:
    with pytest.raises(TokenRefused, match="nonce"):
        run(fake, lambda provider: sign_in(provider, nonce="other"))


def test_claims_come_from_userinfo_where_the_id_token_lacks_them(fake: FakeProvider) -> None:
    fake.claims = {"name": NAME}
    fake.userinfo = {"groups": [ENGINEERS], "name": "Somebody else"}
    holder = run(fake, sign_in)
    assert (holder.audience, holder.name) == (Audience.INTERNAL, NAME)
    fake.userinfo = {"groups": [ENGINEERS], "sub": "another"}
    with pytest.raises(ProviderUnavailable, match="another account"):
        run(fake, sign_in)
    fake.discovery["userinfo_endpoint"] = None
    assert run(fake, sign_in).audience is Audience.PUBLIC


def test_userinfo_is_not_asked_where_nothing_depends_on_it(fake: FakeProvider) -> None:
    run(fake, sign_in)
    fake.claims = {}
    assert run(fake, sign_in, oidc_internal="*").is_internal
    assert "/userinfo" not in fake.asked


@pytest.mark.parametrize(
    ("discovery", "told"),
    [
        ({"issuer": "https://evil.example"}, "calls itself 'https://evil.example': set KB_OIDC_ISSUER to exactly that"),
        ({"issuer": None}, "calls itself"),
        ({"token_endpoint": None}, "token_endpoint is missing"),
        ({"token_endpoint": "http://id.example.com/token"}, "not an https address"),
        ({"jwks_uri": 7}, "jwks_uri is missing"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is missing"),
        ({"userinfo_endpoint": "ftp://x"}, "userinfo_endpoint is missing"),
        ({"padding": "x" * 1_000_000}, "larger than"),
    ],
)
def test_a_discovery_document_that_cannot_be_trusted_is_not(
    fake: FakeProvider, discovery: dict[str, Any], told: str
) -> None:
    fake.discovery = discovery
    with pytest.raises(ProviderUnavailable, match=told):
        run(fake, sign_in)


def test_a_slash_too_many_is_another_issuer(fake: FakeProvider) -> None:
    with pytest.raises(ProviderUnavailable, match="to exactly that"):
        run(fake, sign_in, oidc_issuer=fake.issuer + "/")


@pytest.mark.parametrize(
    ("named", "given", "taken"),
    [
        (None, None, True),
        (None, "right", True),
        (None, "wrong", False),
        (True, "right", True),
        (True, "wrong", False),
        (True, None, False),
    ],
)
def test_the_callback_comes_from_the_provider_that_was_asked(
    fake: FakeProvider, named: bool | None, given: str | None, taken: bool
) -> None:
    fake.discovery["authorization_response_iss_parameter_supported"] = named
    told = {"right": fake.issuer, "wrong": "https://evil.example"}.get(given or "")
    if taken:
        run(fake, lambda provider: provider.check_issuer(told))
    else:
        with pytest.raises(SignInRefused):
            run(fake, lambda provider: provider.check_issuer(told))


def test_keys_are_fetched_once_and_again_for_an_unknown_one_at_most_once_a_minute(fake: FakeProvider) -> None:
    clock = Clock()
    old, strangers = fake.keys[0], [make_key() for _ in range(3)]

    async def use(provider: Provider) -> None:
        async def is_known(key: SigningKey) -> bool:
            try:
                await provider.identify(fake.access_token(key))
            except KeyUnknown:
                return False
            return True

        assert [await is_known(old) for _ in range(3)] == [True] * 3
        assert fake.asked.count("/keys") == 1
        assert [await is_known(stranger) for stranger in strangers] == [False] * 3
        assert fake.asked.count("/keys") == 1, "the first fetch is less than a minute ago"
        clock.now += 61
        assert await asyncio.gather(*(is_known(stranger) for stranger in strangers * 5)) == [False] * 15
        assert fake.asked.count("/keys") == 2
        assert await is_known(old)

        new = make_key("ES256")
        fake.keys = [new, old]
        assert not await is_known(new)
        clock.now += 61
        assert await is_known(new)
        assert await is_known(old)
        assert fake.asked.count("/keys") == 3

        fake.keys = [new]
        clock.now += 3601
        assert await is_known(new)
        assert not await is_known(old), "a key that is withdrawn stops within the hour"
        assert fake.asked.count("/.well-known/openid-configuration") == 2

    run(fake, use, clock)


def test_many_at_a_time_share_one_fetch(fake: FakeProvider) -> None:
    async def use(provider: Provider) -> None:
        await asyncio.gather(*(provider.identify(fake.access_token()) for _ in range(20)))

    run(fake, use)
    assert sorted(fake.asked) == ["/.well-known/openid-configuration", "/keys"]


def test_a_provider_that_is_down_is_asked_again_soon_but_not_each_time(
    fake: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    fake.down = True

    async def use(provider: Provider) -> None:
        for _ in range(3):
            with pytest.raises(ProviderUnavailable, match=r"discovery document .* answers 503"):
                await provider.identify(fake.access_token())
        assert len(fake.asked) == 1
        clock.now += 6
        fake.down = False
        assert (await provider.identify(fake.access_token())).is_internal
        fake.down = True
        clock.now += 4000
        assert (await provider.identify(fake.access_token())).is_internal, "known keys go on"

    with caplog.at_level(logging.WARNING, "kb.serve"):
        run(fake, use, clock)
    assert "answers 503" in caplog.text


def test_an_address_where_nobody_listens_is_told(fake: FakeProvider) -> None:
    fake.issuer = "http://127.0.0.1:9"
    with pytest.raises(ProviderUnavailable, match="cannot be fetched"):
        run(fake, sign_in)


def test_certificates_that_are_not_there_are_told(fake: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(ProviderUnavailable, match="cannot be fetched"):
        run(fake, sign_in)


def test_an_answer_that_is_no_json_object_is_told(fake: FakeProvider) -> None:
    fake.discovery["jwks_uri"] = f"{fake.issuer}/authorize?x"
    fake.asks = True
    with pytest.raises(ProviderUnavailable, match="keys"):
        run(fake, lambda provider: provider.identify(fake.access_token()))
