"""The typed Python client, against a real server and against one that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexer.source import sha256_of
from service.client import (
    AsyncClient,
    Client,
    ClientError,
    ConnectionFailed,
    Invalid,
    NotFound,
    ProblemRaised,
    Unauthorized,
    Unavailable,
)
from tests.http_world import UNCOVERED, World, make_world, running

SYMPTOM = "every request answers 401 invalid_token"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def base(world: World) -> Iterator[str]:
    with running(world.app()) as address:
        yield address


def test_an_answer_is_the_assistants_own_data(base: str) -> None:
    with Client(base) as kb:
        found = kb.search(SYMPTOM, limit=2)
    assert found.answered
    assert found.suggestions[0].article_id == "KB-1001"
    assert found.suggestions[0].reasons[0].contribution > 0
    snippet = found.suggestions[0].snippets[0]
    assert sha256_of(snippet.text) == snippet.citation.sha256
    assert snippet.citation.heading_path[0] == found.suggestions[0].title
    assert all(snippet.text[start:end] for start, end in snippet.highlights)


def test_the_key_decides_what_is_found(world: World, base: str) -> None:
    with Client(base, world.engineer) as inside, Client(base) as outside:
        assert [a.article_id for a in inside.articles()] == ["KB-1001", "KB-1003", "KB-7777", "KB-8888"]
        assert [a.article_id for a in outside.articles()] == ["KB-1001", "KB-1003"]
        ticket = inside.suggest("401", f"All users see an error: {SYMPTOM}")
        assert ticket.triage is not None
        assert ticket.triage["severity"]["severity"] == "high"
        assert ticket.internal_note.startswith("**Suggested articles**")
        assert outside.suggest("401", SYMPTOM).triage is None
        near = inside.search(f"{UNCOVERED} 401")
        assert (near.answered, near.nearest) == (False, True)


def test_articles_are_read_and_judged(world: World, base: str) -> None:
    with Client(base, world.engineer) as kb:
        article = kb.article("mail/bounce.md")
        assert "Publish an SPF record." in article.markdown
        assert article.products == ("email",)
        kb.send_feedback(kb.search(SYMPTOM), "KB-1001", helpful=True, comment="that was it")


def test_errors_are_exceptions_with_their_type(base: str) -> None:
    with Client(base) as kb:
        with pytest.raises(NotFound) as missing:
            kb.article("KB-7777")
        assert missing.value.type == "urn:symptom-kb:problem:not-found"
        assert missing.value.status == 404
        assert missing.value.request_id
        with pytest.raises(Invalid, match="not valid") as invalid:
            kb.search(SYMPTOM, limit=99)
        assert invalid.value.errors[0]["location"] == "body.limit"
    with Client(base, "kbs_wrong") as stranger, pytest.raises(Unauthorized):
        stranger.search(SYMPTOM)


def test_the_asynchronous_client_does_the_same(world: World, base: str) -> None:
    async def run() -> tuple[Any, ...]:
        async with AsyncClient(base, world.engineer) as kb:
            found, ticket = await asyncio.gather(kb.search(SYMPTOM), kb.suggest("401", SYMPTOM))
            await kb.send_feedback(found, "KB-1001", helpful=False)
            with pytest.raises(NotFound):
                await kb.article("KB-0000")
            return found, ticket, await kb.article("KB-1003"), [entry.path async for entry in kb.articles()]

    found, ticket, article, paths = asyncio.run(run())
    assert found.suggestions[0].path == ticket.suggestions[0].path == "api/token-expired.md"
    assert article.path == "mail/bounce.md"
    assert len(paths) == 4


EMPTY = {
    "answered": False,
    "confidence": 0.1,
    "threshold": 0.5,
    "suggestions": [],
    "signatures": [],
    "clarification": None,
    "index_version": "v",
    "took_ms": 1.0,
    "corrections": [],
    "nearest": False,
}


def problem(name: str, status: int, **headers: str) -> httpx.Response:
    body = {"type": f"urn:symptom-kb:problem:{name}", "title": name, "status": status, "detail": "d"}
    return httpx.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


Answering = Callable[[httpx.Request], httpx.Response]


def scripted(*steps: httpx.Response | Exception) -> tuple[Answering, list[httpx.Request]]:
    """A transport's handler that gives `steps` one after the other, and what it was sent."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        step = steps[len(seen) - 1]
        if isinstance(step, Exception):
            raise step
        return step

    return handle, seen


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client wanted to sleep; it does not."""
    slept: list[float] = []

    async def sleep(wait_s: float) -> None:
        slept.append(wait_s)

    monkeypatch.setattr("service.client.sleep", slept.append)
    monkeypatch.setattr("service.client.sleep_async", sleep)
    return slept


def ask(handle: Answering, *, use_async: bool, retries: int = 3) -> Any:
    transport = httpx.MockTransport(handle)
    if not use_async:
        with Client("http://kb.example.com", transport=transport, retries=retries) as kb:
            return kb.search("x")

    async def run() -> Any:
        async with AsyncClient("http://kb.example.com", transport=transport, retries=retries) as kb:
            return await kb.search("x")

    return asyncio.run(run())


@pytest.mark.parametrize("use_async", [False, True])
def test_a_busy_service_is_asked_again_when_it_says(use_async: bool, waits: list[float]) -> None:
    handle, seen = scripted(
        problem("busy", 503, Retry_After="7"),
        problem("too-many-requests", 429, Retry_After="2"),
        httpx.Response(200, json=EMPTY),
    )
    assert not ask(handle, use_async=use_async).answered
    assert waits == [7.0, 2.0]
    assert len({request.content for request in seen}) == 1


@pytest.mark.parametrize("use_async", [False, True])
def test_without_a_hint_it_waits_longer_each_time_and_gives_up(use_async: bool, waits: list[float]) -> None:
    handle, seen = scripted(*[problem("busy", 503)] * 4)
    with pytest.raises(Unavailable):
        ask(handle, use_async=use_async)
    assert len(seen) == 4
    assert [0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits)] == [True] * 3


@pytest.mark.parametrize("use_async", [False, True])
def test_what_patience_does_not_mend_is_sent_once(use_async: bool, waits: list[float]) -> None:
    for step, error in (
        (problem("internal-error", 500), ProblemRaised),
        (problem("too-many-requests", 429, Retry_After="3600"), Unavailable),
        (httpx.ReadTimeout("slow"), ConnectionFailed),
        (httpx.Response(502, text="<html>"), ProblemRaised),
        (httpx.Response(200, text="not json"), ProblemRaised),
    ):
        handle, seen = scripted(step)
        with pytest.raises(error):
            ask(handle, use_async=use_async)
        assert len(seen) == 1
    assert waits == []


@pytest.mark.parametrize("use_async", [False, True])
def test_a_connection_that_was_never_made_is_tried_again(use_async: bool, waits: list[float]) -> None:
    handle, seen = scripted(httpx.ConnectError("refused"), httpx.Response(200, json={**EMPTY, "new_field": 1}))
    assert ask(handle, use_async=use_async).index_version == "v"
    assert (len(seen), len(waits)) == (2, 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem("provider-unavailable", 503, Retry_After="3600"), Unavailable),
        (problem("unsupported-media-type", 415), Invalid),
        (httpx.Response(503, text="<html>proxy</html>", headers={"Retry-After": "3600"}), Unavailable),
        (httpx.Response(404, text="<html>another server</html>"), ProblemRaised),
    ],
)
def test_the_status_tells_the_exception(answer: httpx.Response, error: type[ProblemRaised]) -> None:
    handle, _ = scripted(answer)
    with pytest.raises(error) as raised:
        ask(handle, use_async=False)
    assert type(raised.value) is error


def test_a_redirect_is_not_followed_and_says_where_it_leads() -> None:
    handle, seen = scripted(httpx.Response(301, headers={"Location": "https://kb.example.org/v1/search"}))
    with pytest.raises(ProblemRaised, match=r"redirects to https://kb\.example\.org: use that as base_url"):
        ask(handle, use_async=False)
    assert len(seen) == 1


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_what_cannot_be_an_address_or_a_key_is_told_at_once(kind: type[Client | AsyncClient]) -> None:
    for address in ("kb.example.com", "", "ftp://kb.example.com", "http://", "kb.example.com:8000"):
        with pytest.raises(ClientError, match="base_url must be"):
            kind(address)
    for key in ("kbs_ä", "kbs_1\nkbs_2"):
        with pytest.raises(ClientError, match="the key holds characters"):
            kind("http://kb.example.com", key)


def test_a_key_read_from_a_file_may_end_in_a_line_break() -> None:
    handle, seen = scripted(httpx.Response(200, json=EMPTY))
    with Client("http://kb.example.com", "kbs_1\n", transport=httpx.MockTransport(handle)) as kb:
        kb.search("x")
    assert seen[0].headers["authorization"] == "Bearer kbs_1"


def test_an_error_never_holds_what_was_sent() -> None:
    handle, _ = scripted(httpx.ReadTimeout("slow"))
    with pytest.raises(ConnectionFailed) as raised:
        ask(handle, use_async=False)
    assert str(raised.value) == "the service did not answer (ReadTimeout)"


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(__file__).parents[1] / "service" / "py.typed").is_file()
