"""Starting, reloading, overload, stopping."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from indexer.embedding import Embedder
from indexer.errors import IndexNotFound, KBError, SettingsError
from indexer.metadata import Audience
from service.http.answering import CLIENT, AnsweringPool, ClientGone
from service.http.app import create_app
from service.http.metrics import Metrics
from service.http.problems import KINDS, ProblemError
from service.http.server import _listen, run_server, set_up_logs
from service.settings import Settings
from tests.conftest import FakeEmbedder, build, write_article
from tests.http_world import DecidedAssistant, World, make_world, running


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def wait_for(condition: object, timeout_s: float = 10.0) -> None:
    ends = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)


def test_it_is_up_before_it_is_ready(world: World) -> None:
    gate = threading.Event()

    def open_slowly() -> DecidedAssistant:
        assert gate.wait(10)
        return DecidedAssistant(world.index, FakeEmbedder())

    with TestClient(create_app(world.settings, open_slowly)) as client:
        assert client.get("/v1/health").json()["status"] == "ok"
        response = client.get("/v1/ready")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["type"].endswith(":not-ready")
        assert client.get("/v1/search", params={"q": "x"}).status_code == 503
        assert client.get("/").status_code == 200
        gate.set()
        wait_for(lambda: client.get("/v1/ready").status_code == 200)


def test_an_index_that_cannot_be_opened_is_reported(world: World) -> None:
    failures: list[KBError] = []

    def fail() -> DecidedAssistant:
        raise IndexNotFound("no index")

    with TestClient(create_app(world.settings, fail, on_failure=failures.append)):
        wait_for(lambda: failures)
    assert isinstance(failures[0], IndexNotFound)


def test_an_index_that_may_not_be_read_is_reported_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    failures: list[KBError] = []

    def fail() -> DecidedAssistant:
        raise PermissionError(13, "Permission denied", str(world.index))

    app = create_app(world.settings, fail, on_failure=failures.append)
    with TestClient(app) as client:
        wait_for(lambda: failures)
        assert client.get("/v1/ready").status_code == 503
    assert isinstance(failures[0], KBError)
    assert "Permission denied" in str(failures[0])
    assert str(failures[0]) in caplog.text


def test_whatever_fails_while_it_stops_the_rest_is_closed(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> DecidedAssistant:
        raise ZeroDivisionError

    async def stop() -> None:
        raise RuntimeError("intake did not stop")

    app = create_app(world.settings, fail)
    services = app.state.services
    closed: list[str] = []
    monkeypatch.setattr(services.intake, "stop", stop)
    monkeypatch.setattr(services.pool, "close", lambda: closed.append("pool"))
    monkeypatch.setattr(services.stores, "close", lambda: closed.append("stores"))
    with pytest.raises(RuntimeError, match="intake"), TestClient(app):
        wait_for(lambda: "a background task failed" in caplog.text)
    assert closed == ["pool", "stores"]


def test_no_request_fails_while_new_versions_are_taken_up(world: World) -> None:
    stop = threading.Event()
    seen: set[str] = set()
    failed: list[str] = []

    def ask(address: str) -> None:
        with httpx.Client(base_url=address, timeout=20) as client:
            while not stop.is_set():
                response = client.post("/v1/search", json={"text": "401 invalid_token"})
                if response.status_code == 200 and response.json()["suggestions"]:
                    seen.add(response.json()["index_version"])
                else:
                    failed.append(response.text)
                if client.get("/v1/articles/KB-1001").status_code != 200:
                    failed.append("article")

    app = world.app(rate_limit_per_minute=10**6, answer_queue=100)
    with running(app) as address, ThreadPoolExecutor(4) as pool:
        askers = [pool.submit(ask, address) for _ in range(4)]
        try:
            for round_ in range(3):
                write_article(world.source, "api/new.md", f"Round {round_}.\n", title=f"A new article {round_}")
                version = build(world.source, world.index).version
                wait_for(lambda version=version: version in seen)
        finally:
            stop.set()
        for asker in askers:
            asker.result()
    assert failed == []
    assert len(seen) >= 3


def test_a_broken_version_is_not_served_and_the_next_good_one_is(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with world.client() as client:
        good = client.get("/v1/ready").json()["index_version"]
        write_article(world.source, "api/second.md", title="A second article about nothing")
        broken = build(world.source, world.index).version
        for file in (world.index / broken).glob("*.bin"):
            file.unlink()  # a mapped file cut short would end this process, had the service taken it up already
            file.write_bytes(b"flipped")
        wait_for(lambda: "is not served" in caplog.text or client.get("/v1/ready").json()["index_version"] == broken)
        if "is not served" in caplog.text:
            time.sleep(0.3)
            assert caplog.text.count("is not served") == 1
            assert client.get("/v1/ready").json()["index_version"] == good
            assert client.post("/v1/search", json={"text": "401 invalid_token"}).status_code == 200
        write_article(world.source, "api/third.md", title="A third article about nothing")
        fixed = build(world.source, world.index).version
        wait_for(lambda: client.get("/v1/ready").json()["index_version"] == fixed)


def test_a_full_queue_is_refused_at_once() -> None:
    async def scenario() -> tuple[list[int], ProblemError]:
        pool = AnsweringPool(1, 1, Metrics())
        gate = threading.Event()

        def work() -> int:
            gate.wait(10)
            return 1

        running_ = [asyncio.create_task(pool.run(work)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(ProblemError) as refused:
            await pool.run(work)
        gate.set()
        results = list(await asyncio.gather(*running_))
        results.append(await pool.run(lambda: 2))
        pool.close()
        return results, refused.value

    results, refused = asyncio.run(scenario())
    assert results == [1, 1, 2]
    assert refused.kind.name == "busy"
    assert refused.headers == {"Retry-After": "1"}


def test_what_was_answered_is_not_thrown_away_for_a_full_queue(world: World) -> None:
    async def scenario() -> int:
        pool = AnsweringPool(1, 0, Metrics())
        assistant = DecidedAssistant(world.index, FakeEmbedder())
        gate = threading.Event()
        first = asyncio.create_task(pool.run(lambda: gate.wait(10)))
        await asyncio.sleep(0.05)
        with pytest.raises(ProblemError):
            await pool.ask(assistant, lambda _: 1)
        triage = asyncio.create_task(pool.ask(assistant, lambda _: 2, is_continued=True))
        await asyncio.sleep(0.05)
        with pytest.raises(ProblemError):
            await pool.run(lambda: 3)
        gate.set()
        await first
        result = await triage
        pool.close()
        return result

    assert asyncio.run(scenario()) == 2


def test_triage_goes_on_with_a_question_that_was_let_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = AnsweringPool.ask

    async def ask(pool: AnsweringPool, *args: Any, is_continued: bool = False) -> Any:
        if not is_continued:
            raise ProblemError("busy", "full")
        return await refused(pool, *args, is_continued=True)

    with world.client(world.engineer) as client:
        question = {"subject": "API", "body": "every request answers 401 invalid_token"}
        client.post("/v1/tickets/suggest", json=question)
        monkeypatch.setattr(AnsweringPool, "ask", ask)  # the answer is kept by now
        assert client.post("/v1/tickets/suggest", json=question).json()["triage"]


def test_a_search_given_up_while_it_waits_frees_its_place() -> None:
    async def scenario() -> tuple[list[str], float]:
        metrics = Metrics()
        pool = AnsweringPool(1, 1, metrics)
        gate, hang_up = threading.Event(), asyncio.Event()
        done: list[str] = []

        def work(name: str) -> None:
            assert gate.wait(10)
            done.append(name)

        async def receive() -> dict[str, str]:
            await hang_up.wait()
            return {"type": "http.disconnect"}

        CLIENT.set(receive)
        running_ = asyncio.create_task(pool.run(lambda: work("running")))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(pool.run(lambda: work("superseded")))
        await asyncio.sleep(0.05)
        with pytest.raises(ProblemError):
            await pool.run(lambda: work("refused"))
        hang_up.set()
        with pytest.raises(ClientGone):
            await waiting
        CLIENT.set(None)
        latest = asyncio.create_task(pool.run(lambda: work("latest")))
        await asyncio.sleep(0.05)
        gate.set()
        await asyncio.gather(running_, latest)
        pool.close()
        return done, metrics.registry.get_sample_value("kb_questions_abandoned_total") or 0.0

    assert asyncio.run(scenario()) == (["running", "latest"], 1.0)


def test_hanging_up_on_a_real_connection_ends_the_wait(world: World) -> None:
    app = world.app(answer_workers=1, answer_queue=8)
    with running(app) as address:
        services = app.state.services
        gate = threading.Event()
        blocker = services.pool._executor.submit(gate.wait, 10)
        services.pool._in_flight += 1
        try:
            for _ in range(3):
                with pytest.raises(httpx.ReadTimeout):
                    httpx.post(f"{address}/v1/search", json={"text": "401 superseded"}, timeout=0.3)
            wait_for(lambda: services.pool._in_flight == 1)
        finally:
            gate.set()
            blocker.result(10)
            services.pool._in_flight -= 1
        assert httpx.post(f"{address}/v1/search", json={"text": "401 latest"}).status_code == 200
        text = httpx.get(f"{address}/metrics").text
    assert "kb_questions_abandoned_total 3.0" in text
    assert re.search(r'status="499"\} 3\.0', text)


def test_every_refusal_under_overload_is_clean_and_it_recovers(world: World) -> None:
    app = world.app(answer_workers=1, answer_queue=2, rate_limit_per_minute=10**6)
    with running(app) as address, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> httpx.Response:
            return httpx.post(f"{address}/v1/search", json={"text": f"401 number {number}"}, timeout=20)

        found = list(pool.map(ask, range(96)))
        after = [ask(1000 + number) for number in range(3)]
    statuses = {response.status_code for response in found}
    assert statuses == {200, 503}
    for response in found:
        if response.status_code == 503:
            assert response.headers["retry-after"] == "1"
            assert response.json()["type"].endswith(":busy")
    assert [response.status_code for response in after] == [200, 200, 200]


SERVING_PATH = """
import sys
from pathlib import Path
from fastapi.testclient import TestClient
from service.http.app import create_app
from service.http import server
from service.settings import Settings
with TestClient(create_app(Settings(index=Path(sys.argv[1])))) as client:
    while client.get("/v1/ready").status_code != 200:
        pass
    assert client.post("/v1/search", json={"text": "401 invalid_token"}).status_code == 200
    found = [name for name in sys.argv[2:] if name in sys.modules]
sys.exit(", ".join(found) or 0)
"""

HEAVY = ("torch", "sentence_transformers", "transformers", "scipy", "sklearn", "onnx", "pandas")
UNUSED = (
    *("mcp", "cryptography", "sqlalchemy", "jinja2", "lxml", "opentelemetry.sdk", "concurrent.futures.process"),
    *("service.intake.queue", "service.mcp_tools"),
)
"""Loaded by the first request that needs it."""


def test_serving_imports_nothing_before_its_use(world: World, tmp_path: Path, real_embedder: Embedder) -> None:
    index = tmp_path / "real"
    build(world.source, index, real_embedder)
    command = [sys.executable, "-c", SERVING_PATH, str(index), *HEAVY, *UNUSED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_cached_answer_needs_no_thread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.client() as client:
        first = client.get("/v1/search", params={"q": "401 invalid_token"})

        def refuse(*_: object, **__: object) -> None:
            raise AssertionError("a thread was asked for")

        monkeypatch.setattr("fastapi.dependencies.utils.run_in_threadpool", refuse)
        monkeypatch.setattr("fastapi.routing.run_in_threadpool", refuse)
        monkeypatch.setattr(client.app.state.services.pool._executor, "submit", refuse)  # type: ignore[attr-defined]
        again = client.get("/v1/search", params={"q": "401 invalid_token"})
    assert again.status_code == 200
    assert again.json() == first.json()


def test_no_tracer_sees_a_question(world: World) -> None:
    """The framework would put the whole address into a span."""
    app = world.app()
    assert not app._native_telemetry.enabled()
    assert {name for name in ("tracing", "metrics", "logs", "auto_configure") if app._telemetry[name]} == set()


def test_answers_are_not_held_back_by_nagle(world: World) -> None:
    async def no_delay() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            found.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = _listen(Settings(index=world.index, port=0))
        server = await asyncio.start_server(connected, sock=listener)
        _, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
        flag = await asyncio.wait_for(found, 10)
        writer.close()
        server.close()
        return flag

    assert asyncio.run(no_delay())


def test_a_demo_and_a_taken_port_are_refused_clearly(world: World) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        run_server(Settings(index=world.index, host="0.0.0.0"), demo=True)
    with pytest.raises(IndexNotFound):
        run_server(Settings(index=world.index / "none"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SettingsError, match="--port"):
            run_server(Settings(index=world.index, port=taken.getsockname()[1]))


def test_kb_serve_prints_a_link_answers_and_stops_gracefully(world: World) -> None:
    script = (
        "import sys\n"
        "import indexer.embedding\n"
        "from tests.conftest import FakeEmbedder\n"
        "indexer.embedding.load_embedder = lambda *_, **__: FakeEmbedder()\n"
        "from eval.cli import main\n"
        "main()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", script, "serve", "--index", str(world.index), "--port", "0", "--demo"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(3)]
            address = re.search(r"http://127\.0\.0\.1:\d+", lines[0])
            link = re.search(r"/sign-in#token=(\S+)", lines[2])
            assert address
            assert link
            with httpx.Client(base_url=address[0]) as client:
                wait_for(lambda: client.get("/v1/ready").status_code == 200)
                assert client.post("/v1/session", json={"token": link[1]}).json()["audience"] == Audience.INTERNAL
                assert "KB-7777" in client.get("/v1/articles").text
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert "Traceback" not in errors
    assert process.returncode in {0, -signal.SIGTERM}


DOCS = Path(__file__).parent.parent / "docs"


def test_log_lines_of_requests_are_json_and_all_times_are_utc(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("kb", "kb.access", "uvicorn"):
        for attribute in ("handlers", "propagate", "level"):
            monkeypatch.setattr(logging.getLogger(name), attribute, getattr(logging.getLogger(name), attribute))
    set_up_logs()
    logging.getLogger("kb.access").info('{"event": "request"}')
    logging.getLogger("kb.serve").info("an event")
    request, event = capsys.readouterr().err.splitlines()
    assert request == '{"event": "request"}'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO kb.serve an event", event)


def test_the_docs_name_every_setting_and_no_other() -> None:
    named = set(re.findall(r"^\| `(KB_[A-Z_]+)`", (DOCS / "settings.md").read_text(), re.MULTILINE))
    assert named == {f"KB_{name.upper()}" for name in Settings.model_fields}


def test_the_docs_name_every_problem_and_no_other() -> None:
    text = (DOCS / "http-api.md").read_text()
    assert set(re.findall(r"^\| `urn:symptom-kb:problem:([\w-]+)`", text, re.MULTILINE)) == set(KINDS)
