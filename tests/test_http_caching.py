"""The answer cache and the tags: what is served again, and to whom never."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer.metadata import Audience
from indexer.scope import INTERNAL, PUBLIC, Scope
from service.answers import Answer, Question
from service.http.caching import MAX_CACHED_CHARS, AnswerCache, answer_tag, is_current
from tests.conftest import build, write_article
from tests.http_world import SECRETS, World, make_world, wait_until_ready

QUESTION = Question("401 invalid_token")


def answer_of(version: str) -> Answer:
    return Answer(False, 0.1, 0.5, (), (), None, version, 1.0, ())


def cached(client: TestClient) -> tuple[float, float]:
    """Hits and misses so far."""
    registry = client.app.state.services.metrics.registry  # type: ignore[attr-defined]
    hits, misses = (registry.get_sample_value("kb_answer_cache_total", {"result": name}) for name in ("hit", "miss"))
    return hits or 0.0, misses or 0.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def public(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        wait_until_ready(client)
        yield client


def test_the_same_question_in_the_same_scope_is_found() -> None:
    cache = AnswerCache(4)
    answer = answer_of("v1")
    cache.keep(answer, PUBLIC, QUESTION)
    assert cache.find("v1", Scope(frozenset({Audience.PUBLIC})), Question("401 invalid_token")) is answer


def test_nothing_crosses_scopes_versions_or_questions() -> None:
    internal_only = Scope(frozenset({Audience.INTERNAL}))
    scopes = [PUBLIC, INTERNAL, internal_only]
    scopes += [
        Scope(scope.audiences, frozenset(names)) for scope in scopes[:2] for names in (["a"], ["b"], ["a", "b"], ["ab"])
    ]
    questions = [
        Question("ab"),
        Question("a", "b"),
        Question("b", "a"),
        Question("ab", limit=6),
        Question("a b"),
        Question("", "ab"),
        Question("AB"),
    ]
    places = list(itertools.product(["v1", "v2"], scopes, questions))
    for version, scope, question in places:
        cache = AnswerCache(1000)
        cache.keep(answer_of(version), scope, question)
        found = [place for place in places if cache.find(*place) is not None]
        assert found == [(version, scope, question)]
    assert len({answer_tag(*place) for place in places}) == len(places)


def test_it_stays_small_and_forgets_old_versions() -> None:
    cache = AnswerCache(2)
    first, second, third = Question("first"), Question("second"), Question("third")
    cache.keep(answer_of("v1"), PUBLIC, first)
    cache.keep(answer_of("v1"), PUBLIC, second)
    assert cache.find("v1", PUBLIC, first)
    cache.keep(answer_of("v1"), PUBLIC, third)
    assert cache.find("v1", PUBLIC, second) is None
    assert cache.find("v1", PUBLIC, first)
    cache.keep(answer_of("v2"), PUBLIC, first)
    assert len(cache) == 1
    cache.keep(answer_of("v2"), PUBLIC, Question("x" * (MAX_CACHED_CHARS + 1)))
    assert len(cache) == 1
    none = AnswerCache(0)
    none.keep(answer_of("v1"), PUBLIC, first)
    assert (none.find("v1", PUBLIC, first), len(none)) == (None, 0)


def test_a_repeated_search_is_not_computed_again(public: TestClient) -> None:
    before = cached(public)
    bodies = [public.post("/v1/search", json={"text": "401 invalid_token"}).json() for _ in range(3)]
    assert bodies[0] == bodies[1] == bodies[2]
    hits, misses = cached(public)
    assert (hits - before[0], misses - before[1]) == (2.0, 1.0)


def test_a_public_caller_never_gets_what_an_engineer_asked(world: World) -> None:
    app = world.app()
    with TestClient(app) as client:
        wait_until_ready(client)
        headers = {"Authorization": f"Bearer {world.engineer}"}
        question = {"text": "401 invalid_token quokka", "limit": 10}
        inside = client.post("/v1/search", json=question, headers=headers)
        outside = client.post("/v1/search", json=question)
        inside_again = client.post("/v1/search", json=question, headers=headers)
        assert any(secret in inside.text for secret in SECRETS)
        assert inside_again.json() == inside.json()
        assert not [secret for secret in SECRETS if secret in outside.text]
        tag = client.get("/v1/search", params={"q": "quokka"}, headers=headers).headers["etag"]
        found = client.get("/v1/search", params={"q": "quokka"}, headers={"If-None-Match": tag})
        assert found.status_code == 200
        assert found.headers["etag"] != tag


def test_an_unchanged_search_is_confirmed_until_the_index_changes(world: World, public: TestClient) -> None:
    first = public.get("/v1/search", params={"q": "401 invalid_token"})
    assert first.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in first.headers["vary"]
    tag = first.headers["etag"]
    again = public.get("/v1/search", params={"q": "401 invalid_token"}, headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert public.get("/v1/search", params={"q": "502"}, headers={"If-None-Match": tag}).status_code == 200
    write_article(world.source, "api/new.md", title="A new article about 401 invalid_token")
    build(world.source, world.index)
    public.app.state.services.library.refresh()  # type: ignore[attr-defined]
    changed = public.get("/v1/search", params={"q": "401 invalid_token"}, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.json()["index_version"] != first.json()["index_version"]


def test_an_article_is_sent_again_by_another_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be of another release, whose sanitiser is another."""
    with world.client() as client:
        first = client.get("/v1/articles/KB-1001")
        monkeypatch.setattr("service.http.caching._PROCESS", "another")
        again = client.get("/v1/articles/KB-1001", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 200
    assert again.headers["etag"] != first.headers["etag"]


def test_tags_compare_weakly() -> None:
    assert is_current('W/"a"', 'W/"b", "a"')
    assert not is_current('W/"a"', 'W/"aa"')
    assert not is_current('W/"a"', "")
    assert is_current('W/"a"', " * ")
