"""Access tokens of the provider, for programs and assistants: the API, MCP, and how a client finds where to get one."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import httpx
import httpx2
import pytest
from fastapi.testclient import TestClient
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from tests.http_world import SECRETS, World, make_world, running
from tests.oidc_world import ASSISTANT_ID, CLIENT_ID, NAME, FakeProvider, make_key, running_provider
from tests.test_mcp import call, found

ASK = {"q": "quokka alert fires"}
BACK = "http://localhost:3030/callback"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("tokens"))


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def client(world: World, fake: FakeProvider) -> Iterator[TestClient]:
    with world.client(**fake.settings()) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_claim_decides_what_a_token_opens(client: TestClient, fake: FakeProvider) -> None:
    engineer = bearer(fake.access_token())
    assert client.get("/v1/session", headers=engineer).json() == {
        "audience": "internal",
        "signed_in": True,
        "name": NAME,
    }
    assert client.get("/v1/articles/KB-7777", headers=engineer).status_code == 200
    assert "zanzibar" in client.get("/v1/search", params=ASK, headers=engineer).text
    for claims in ({"groups": ["others"]}, {"groups": None}, {"groups": None, "scope": "support engineers"}):
        other = bearer(fake.access_token(**claims))
        assert client.get("/v1/session", headers=other).json()["audience"] == "public"
        assert client.get("/v1/articles/KB-7777", headers=other).status_code == 404
        assert not [word for word in SECRETS if word in client.get("/v1/search", params=ASK, headers=other).text]
    assert fake.asked == ["/.well-known/openid-configuration", "/keys"]


def test_nothing_in_a_request_widens_what_a_token_opens(client: TestClient, fake: FakeProvider) -> None:
    other = bearer(fake.access_token(groups=[]))
    for body in ({"text": "quokka", "audience": "internal"}, {"text": "quokka", "groups": ["support engineers"]}):
        answer = client.post("/v1/search", json=body, headers=other)
        assert not [word for word in SECRETS if word in answer.text]


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://another.example"},
        {"aud": CLIENT_ID},
        {"iss": "https://evil.example"},
        {"exp": int(time.time()) - 90},
    ],
)
def test_a_token_that_is_not_valid_is_refused_rather_than_taken_for_none(
    client: TestClient, fake: FakeProvider, changes: dict[str, Any]
) -> None:
    token = fake.access_token(**changes)
    answer = client.get("/v1/search", params=ASK, headers=bearer(token))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        'Bearer error="invalid_token", resource_metadata="http://testserver/.well-known/oauth-protected-resource"'
    )
    assert answer.json()["type"].endswith(":unauthorized")
    assert token not in answer.text


def test_an_id_token_is_no_access_token(world: World, fake: FakeProvider) -> None:
    with world.client(**fake.settings()) as client:
        for token in (fake.id_token("n"), fake.id_token("n", aud="api://kb"), fake.id_token("n", nonce=None)):
            assert client.get("/v1/session", headers=bearer(token)).status_code == 401


def test_random_keys_do_not_make_the_service_ask_each_time(client: TestClient, fake: FakeProvider) -> None:
    strangers = [fake.access_token(make_key("ES256")) for _ in range(20)]
    assert {client.get("/v1/session", headers=bearer(token)).status_code for token in strangers} == {401}
    assert fake.asked.count("/keys") == 1


def test_without_an_audience_tokens_are_not_taken(world: World, fake: FakeProvider) -> None:
    with world.client(**fake.settings(oidc_audience=None)) as client:
        answer = client.get("/v1/session", headers=bearer(fake.access_token()))
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/.well-known/oauth-protected-resource").status_code == 404
    assert fake.asked == []


def test_keys_work_as_before(world: World, client: TestClient, fake: FakeProvider) -> None:
    fake.down = True
    assert client.get("/v1/articles/KB-7777", headers=bearer(world.engineer)).status_code == 200
    assert client.get("/v1/articles/KB-7777", headers=bearer(world.integrator)).status_code == 404
    page = {**bearer(world.page_key), "Origin": world.page_origin}
    assert client.get("/v1/search", params={"q": "401"}, headers=page).status_code == 200
    assert client.get("/v1/search", params={"q": "401"}, headers=bearer(world.page_key)).status_code == 403
    assert client.get("/v1/session", headers=bearer("kbs_wrong")).status_code == 401
    assert client.get("/v1/session").json()["audience"] == "public"
    assert fake.asked == []


def test_a_token_that_cannot_be_checked_is_not_called_wrong(client: TestClient, fake: FakeProvider) -> None:
    fake.down = True
    answer = client.get("/v1/session", headers=bearer(fake.access_token()))
    assert answer.status_code == 503
    assert answer.json()["type"].endswith(":provider-unavailable")
    assert "Retry-After" in answer.headers


def test_requests_are_counted_by_account(world: World, fake: FakeProvider) -> None:
    limits = {"rate_limit_per_minute": 1, "secret_rate_limit_per_minute": 3}
    with world.client(**fake.settings(**limits)) as client:
        ada, bob = bearer(fake.access_token()), bearer(fake.access_token(sub="bob"))
        renewed = bearer(fake.access_token(jti="another"))
        statuses = [client.get("/v1/session", headers=who).status_code for who in (ada, renewed, ada, ada, bob)]
        assert statuses == [200, 200, 200, 429, 200]


def test_a_token_is_no_key_for_the_ledger(client: TestClient, fake: FakeProvider) -> None:
    event = {"session": "s" * 20, "event": "shown", "surface": "search", "articles": [], "index_version": "x"}
    assert client.post("/v1/events", json=event, headers=bearer(fake.access_token())).status_code in {403, 422}
    assert client.post("/v1/session", json={"token": "a.b.c"}).status_code == 401


@pytest.mark.parametrize(("path", "resource"), [("", "https://kb.example.com"), ("/mcp", "https://kb.example.com/mcp")])
def test_a_client_finds_where_to_get_a_token(world: World, fake: FakeProvider, path: str, resource: str) -> None:
    with world.client(**fake.settings(public_url="https://kb.example.com/")) as client:
        answer = client.get(f"/.well-known/oauth-protected-resource{path}", headers={"Accept": "text/html"})
        assert answer.json() == {
            "resource": resource,
            "authorization_servers": [fake.issuer],
            "bearer_methods_supported": ["header"],
        }
        assert answer.headers["access-control-allow-origin"] == "*"
        assert client.get("/.well-known/oauth-protected-resource/v1").status_code == 404


def test_the_contract_names_the_provider(world: World, fake: FakeProvider) -> None:
    document = world.app(**fake.settings()).openapi()
    discovery = f"{fake.issuer}/.well-known/openid-configuration"
    assert document["components"]["securitySchemes"]["token"] == {
        "type": "openIdConnect",
        "openIdConnectUrl": discovery,
    }
    assert {"token": []} in document["security"]


def test_an_assistant_uses_a_token_on_mcp(world: World, fake: FakeProvider) -> None:
    with running(world.app(**fake.settings())) as base:
        address = f"{base}/mcp"
        ask = {"symptom": ASK["q"], "limit": 10}
        assert "zanzibar" in str(found(address, "search_by_symptom", ask, token=fake.access_token()))
        for token in (None, fake.access_token(groups=["others"])):
            outside = found(address, "search_by_symptom", ask, token=token)
            assert not [word for word in SECRETS if word in str(outside)]
        expired = httpx.post(address, json={}, headers=bearer(fake.access_token(exp=1)))
        assert expired.status_code == 401
        metadata = f"{base}/.well-known/oauth-protected-resource/mcp"
        assert expired.headers["www-authenticate"] == f'Bearer error="invalid_token", resource_metadata="{metadata}"'
        assert httpx.get(metadata).json()["resource"] == address


def test_mcp_may_ask_everybody_for_a_credential(world: World, fake: FakeProvider) -> None:
    with running(world.app(**fake.settings(mcp_anonymous=False))) as base:
        address = f"{base}/mcp"
        nobody = httpx.post(address, json={})
        assert nobody.status_code == 401
        metadata = f"{base}/.well-known/oauth-protected-resource/mcp"
        assert nobody.headers["www-authenticate"] == f'Bearer resource_metadata="{metadata}"'
        for token in (fake.access_token(), fake.access_token(groups=[]), world.integrator):
            assert not call(address, "search_by_symptom", {"symptom": "401"}, token=token).is_error
        assert httpx.get(f"{base}/v1/search", params={"q": "401"}).status_code == 200


class Storage:
    """What an assistant keeps: it was registered at the provider by hand."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull:
        return OAuthClientInformationFull(
            client_id=ASSISTANT_ID, redirect_uris=[AnyUrl(BACK)], token_endpoint_auth_method="none"
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Nothing is registered by itself."""


def test_an_assistant_signs_in_by_itself(world: World, fake: FakeProvider) -> None:
    """The SDK's own client goes from the 401 to the metadata, to the provider that they name, and back with a token."""
    went: list[str] = []

    async def open_browser(address: str) -> None:
        async with httpx.AsyncClient() as browser:
            went.append((await browser.get(address)).headers["location"])

    async def wait_for_browser() -> AuthorizationCodeResult:
        back = httpx.URL(went[-1]).params
        return AuthorizationCodeResult(code=back["code"], state=back["state"])

    async def search(address: str) -> Any:
        registered = OAuthClientMetadata(redirect_uris=[AnyUrl(BACK)], client_name="assistant")
        sign_on = OAuthClientProvider(address, registered, Storage(), open_browser, wait_for_browser)
        async with (
            httpx2.AsyncClient(auth=sign_on) as http,
            Client(streamable_http_client(address, http_client=http)) as client,
        ):
            return await client.call_tool("search_by_symptom", {"symptom": ASK["q"]})

    with running(world.app(**fake.settings(mcp_anonymous=False))) as base:
        assert "zanzibar" in str(asyncio.run(search(f"{base}/mcp")).structured_content)
        assert fake.authorized[0]["resource"] == f"{base}/mcp"
    assert len(went) == 1


def test_no_token_and_no_name_is_logged(
    client: TestClient, fake: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kb")
    tokens = [fake.access_token(), fake.access_token(exp=1), fake.access_token(make_key("ES256"))]
    for token in tokens:
        client.get("/v1/session", headers=bearer(token))
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("kb"))
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "kb.access"]
    assert [line["status"] for line in lines] == [200, 401, 401]
    assert not [word for word in (*tokens, NAME, "00u1a2b3c4d5") if word in logged]
    assert lines[0]["key"].startswith("sso-")
