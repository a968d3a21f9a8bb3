"""Nothing internal reaches a public caller: every route, every public credential, many requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Mount, Route

from indexer.analysis import surface_words
from indexer.embedding import QUERY_MAX_TOKENS
from indexer.scope import INTERNAL, PUBLIC
from indexer.snapshot import Snapshot
from service.answers import Answer, Question, Reason, Suggestion
from service.assistant import Assistant
from service.http.models import AnswerBody
from tests.conftest import FakeEmbedder, build
from tests.http_world import SECRETS, UNCOVERED, World, make_world

NAMES = (
    "api/token-expired.md",
    "KB-1001",
    "KB-1003",
    "KB-7777",
    "KB-8888",
    "runbooks/zanzibar.md",
    "triage/xylophone.md",
    "runbooks/zanzibar",
    "RUNBOOKS/ZANZIBAR.MD",
    "runbooks//zanzibar.md",
)
SYMPTOMS = (
    "every request answers 401 invalid_token",
    "the alert fires",
    "customers say messages bounce with 550 5.7.26 everywhere",
    "page the rota, restart the gateway",
    f"{UNCOVERED} 401 invalid_token",
    "First 15 minutes",
    "Trigger Escalation",
)
SECRET_SYMPTOMS = ("KB-7777", "zanzibar gateway restart quokka", "xylophone nightjar")
PRODUCTS = ("platform-api", "email", "")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("scope"))


@pytest.fixture(scope="module")
def bare_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same without its internal articles."""
    made = make_world(tmp_path_factory.mktemp("bare"))
    for name in ("runbooks/zanzibar.md", "triage/xylophone.md"):
        (made.source / name).unlink()
    build(made.source, made.index)
    return made


@pytest.fixture(scope="module", params=["nothing", "integrator", "page", "wrong cookie"])
def public(request: pytest.FixtureRequest, world: World) -> Iterator[TestClient]:
    """A client of each public kind."""
    token = {"integrator": world.integrator, "page": world.page_key}.get(request.param)
    with world.client(None, rate_limit_per_minute=100_000, secret_rate_limit_per_minute=100_000) as client:
        if token:
            client.headers["Authorization"] = f"Bearer {token}"
        if request.param == "page":
            client.headers["Origin"] = world.page_origin
        if request.param == "wrong cookie":
            client.cookies.set("kb_session", world.engineer)
        yield client


def routes_of(client: TestClient) -> list[tuple[str, str]]:
    """Every method and path template of the app; a new route is tested without anybody's doing."""
    return list(_walk(client.app.routes))  # type: ignore[attr-defined]


def _walk(routes: list[Any]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/console.js"
        elif isinstance(route, Route | APIRoute):
            yield from ((method, route.path) for method in sorted(route.methods or ()) if method != "HEAD")
        else:
            yield from _walk(route.original_router.routes)


def assert_nothing_internal(text: str) -> None:
    lowered = text.lower()
    leaked = [word for word in SECRETS if word.lower() in lowered]
    assert not leaked, f"leaked {leaked}: {text[:3000]}"


def requests_for(method: str, path: str, name: str, symptom: str, product: str) -> Iterator[dict[str, Any]]:
    """Requests that a route may be sent, with and without sense."""
    url = path.replace("{name:path}", name)
    headers: tuple[dict[str, str], ...] = ({}, {"Accept": "text/html"}, {"Accept": "text/markdown"})
    for accept in headers:
        if method == "GET":
            params = {"q": symptom, "limit": 50, "lines": "1-99", "X-Audience": "internal", "audience": "internal"}
            yield {"url": url, "params": params, "headers": accept}
            yield {"url": url, "params": {**params, "products": product, "format": "markdown"}, "headers": accept}
    if method != "GET":
        bodies: tuple[dict[str, Any], ...] = (
            {"text": symptom, "limit": 50, "products": [product]},
            {"subject": symptom, "body": symptom, "limit": 50},
            {"text": symptom, "audience": "internal"},
            {"article": name, "index_version": "20261124T044056553567-46f560ad8a3a", "helpful": True},
            {"token": "kbs_" + "x" * 43},
        )
        for body in bodies:
            yield {"url": url, "json": body}
        yield {"url": url, "content": symptom}


def test_every_route_is_found(public: TestClient) -> None:
    found = {path for _, path in routes_of(public)}
    assert {"/", "/results", "/articles/{name:path}", "/v1/search", "/v1/tickets/suggest", "/v1/articles"} <= found
    assert {"/v1/articles/{name:path}", "/v1/feedback", "/metrics", "/v1/openapi.json", "/v1/session"} <= found


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(name=st.sampled_from(NAMES), symptom=st.sampled_from(SYMPTOMS), product=st.sampled_from(PRODUCTS))
def test_no_route_shows_a_public_caller_anything_internal(
    public: TestClient, name: str, symptom: str, product: str
) -> None:
    for method, path in routes_of(public):
        for request in requests_for(method, path, name, symptom, product):
            response = public.request(method, **request, follow_redirects=False)
            assert response.status_code < 500, (method, path, response.text)
            assert_nothing_internal(response.text + str(response.headers).replace(name, ""))


@pytest.mark.parametrize("symptom", SECRET_SYMPTOMS)
def test_asking_for_an_internal_article_by_name_finds_public_ones_at_most(public: TestClient, symptom: str) -> None:
    for path, body in (
        ("/v1/search", {"text": symptom, "limit": 50}),
        ("/v1/tickets/suggest", {"subject": symptom, "limit": 50}),
    ):
        answer = public.post(path, json=body).json()
        assert {suggestion["audience"] for suggestion in answer["suggestions"]} <= {"public"}
        assert_nothing_internal(str({**answer, "signatures": []}))
    page = public.post("/results", content=symptom).text
    assert "runbooks/" not in page
    assert "triage/" not in page
    assert "badge-internal" not in page


def test_counts_and_lists_are_those_of_an_index_without_internal_articles(world: World, bare_world: World) -> None:
    with world.client() as full, bare_world.client() as bare:
        for path in (
            "/v1/articles",
            "/v1/articles?limit=1",
            "/v1/articles?type=runbook",
            "/v1/articles?products=nightjar",
        ):
            one, other = full.get(path).json(), bare.get(path).json()
            assert {**one, "index_version": ""} == {**other, "index_version": ""}
        for symptom in (*SYMPTOMS, *SECRET_SYMPTOMS):
            one, other = (c.post("/v1/search", json={"text": symptom, "limit": 50}).json() for c in (full, bare))
            found, expected = ({s["path"] for s in answer["suggestions"]} for answer in (one, other))
            assert found == expected, symptom


def test_no_score_tells_which_words_internal_articles_hold(world: World, bare_world: World) -> None:
    """Beyond what is embedded, a word counts by how rare it is; asked one by one, that would spell a runbook out."""
    assistant = Assistant(world.index, FakeEmbedder())
    filler = "request token bounce record " * QUERY_MAX_TOKENS

    def asked(word: str) -> dict[str, Any]:
        answer = assistant.answer(Question(f"{filler} {word}"), PUBLIC).as_dict()
        return {name: value for name, value in answer.items() if name != "took_ms"}

    texts = {card.path: (world.source / card.path).read_text() for card in assistant.articles(INTERNAL)}
    public = Snapshot.open(bare_world.index).words
    hidden = {word for text in texts.values() for word in surface_words(text) if not public.query_weights(word)}
    assert {"quokka", "xylophone", "nightjar"} <= hidden
    nothing = asked("bodacious")
    for word in sorted(hidden):
        assert asked(word) == nothing, word
    assert asked("bouunce") != nothing, "a word that public articles hold does count, put right"


def test_internal_callers_do_see_them(world: World) -> None:
    """Otherwise the tests above would prove nothing."""
    with world.client(world.engineer) as client:
        assert "zanzibar" in client.get("/v1/articles").text
        assert "quokka" in client.get("/v1/search", params={"q": "quokka alert fires"}).text
        assert "xylophone" in client.get("/articles/runbooks/zanzibar.md").text
        assert "/articles/runbooks/zanzibar.md" in client.get("/v1/articles/KB-1001?format=html").text


@pytest.mark.parametrize("is_internal", [True, False])
def test_how_many_tickets_an_article_solved_is_told_to_the_team_only(is_internal: bool) -> None:
    reasons = (Reason("tickets", 0.5, "14 similar tickets were solved by this"), Reason("gist", 0.2, "14 of them"))
    found = Suggestion("KB-1", "a.md", "T", "", "public", None, None, (), 1.0, reasons, ())
    answer = Answer(True, 0.9, 0.5, (found,), (), None, "v", 1.0, ())
    body = AnswerBody.of(answer, lambda _: True, is_internal=is_internal)
    ticket = "14 similar tickets were solved by this" if is_internal else "similar tickets were solved by this"
    assert [reason.detail for reason in body.suggestions[0].reasons] == [ticket, "14 of them"]
