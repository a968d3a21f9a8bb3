"""OpenTelemetry traces: which spans there are, what they say, and what they never say."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from service import tracing
from service.http.app import create_app
from service.tracing import OtelTracing, Tracing, start_tracing
from tests.conftest import FakeEmbedder
from tests.http_world import SECRETS, DecidedAssistant, World, make_world, wait_until_ready

QUESTION = "401 invalid_token since platypus"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def _client(world: World, spans: InMemorySpanExporter, *, documents: bool = False) -> TestClient:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    made = OtelTracing(provider, "acme", documents)
    app = create_app(world.settings, lambda: DecidedAssistant(world.index, FakeEmbedder()), tracing=made)
    return TestClient(app, headers={"Authorization": f"Bearer {world.engineer}"}, raise_server_exceptions=False)


@pytest.fixture
def client(world: World, spans: InMemorySpanExporter) -> Iterator[TestClient]:
    with _client(world, spans) as client:
        wait_until_ready(client)
        spans.clear()
        yield client


def _by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_search_is_a_server_span_with_the_retrieval_in_it(client: TestClient, spans: InMemorySpanExporter) -> None:
    client.get("/v1/search", params={"q": QUESTION, "limit": 3}, headers={"traceparent": PARENT})
    found = _by_name(spans)
    request, retrieval = found["GET /v1/search"], found["retrieval"]
    assert request.kind is SpanKind.SERVER
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/v1/search",
        "http.response.status_code": 200,
    }
    assert request.parent is not None
    assert f"{request.parent.trace_id:032x}-{request.parent.span_id:016x}" == PARENT[3:-3]
    assert retrieval.parent is not None
    assert request.context is not None
    assert retrieval.parent.span_id == request.context.span_id
    assert retrieval.kind is SpanKind.INTERNAL
    told = dict(retrieval.attributes or {})
    assert 0 < float(str(told.pop("kb.confidence"))) < 1
    assert told.pop("kb.index.version")
    assert told == {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "acme",
        "gen_ai.retrieval.top_k": 3,
        "kb.answered": True,
        "kb.cached": False,
    }


def test_no_span_holds_what_anybody_typed_or_wrote(client: TestClient, spans: InMemorySpanExporter) -> None:
    client.get("/v1/search", params={"q": QUESTION})
    client.post("/v1/search", json={"text": QUESTION})
    client.get(f"/{QUESTION}")
    client.get("/", params={"q": QUESTION})
    client.post("/v1/tickets/suggest", json={"body": QUESTION, "subject": "platypus"})
    client.get("/v1/articles/KB-7777")
    written = " ".join(span.to_json() for span in spans.get_finished_spans())
    assert written.count('"name": "retrieval"') == 4
    for word in ("platypus", "invalid_token", "testserver", *SECRETS):
        assert word not in written


def test_which_articles_were_found_is_told_on_request_only(world: World, spans: InMemorySpanExporter) -> None:
    with _client(world, spans, documents=True) as client:
        wait_until_ready(client)
        answer = client.get("/v1/search", params={"q": QUESTION}).json()
    told = dict(_by_name(spans)["retrieval"].attributes or {})
    documents = json.loads(str(told["gen_ai.retrieval.documents"]))
    assert documents == [{"id": one["article_id"], "score": one["score"]} for one in answer["suggestions"]]


def test_an_answer_kept_from_before_says_so(client: TestClient, spans: InMemorySpanExporter) -> None:
    for _ in range(2):
        client.post("/v1/search", json={"text": QUESTION})
    told = [span.attributes or {} for span in spans.get_finished_spans() if span.name == "retrieval"]
    assert [one["kb.cached"] for one in told] == [False, True]


def test_what_fails_is_an_error_by_its_kind_alone(
    client: TestClient, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError(QUESTION)

    monkeypatch.setattr(DecidedAssistant, "answer", fail)
    assert client.post("/v1/search", json={"text": QUESTION}).status_code == 500
    found = _by_name(spans)
    for name, kind in (("POST /v1/search", "500"), ("retrieval", "ZeroDivisionError")):
        assert found[name].status.status_code is StatusCode.ERROR
        assert (found[name].attributes or {})["error.type"] == kind
        assert not found[name].events
    spans.clear()
    assert client.get("/v1/articles/none").status_code == 404
    assert _by_name(spans)["GET /v1/articles/{name}"].status.status_code is StatusCode.UNSET


def test_what_monitors_ask_for_is_not_traced(client: TestClient, spans: InMemorySpanExporter) -> None:
    for path in ("/v1/health", "/v1/ready", "/metrics", "/static/console.css"):
        assert client.get(path).status_code == 200
    assert not spans.get_finished_spans()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "kb"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nobody_who_did_not_ask_gets_traces(environment: dict[str, str]) -> None:
    assert type(start_tracing(environment, "acme", False, "1")) is Tracing


def test_what_cannot_be_sent_is_a_warning(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with caplog.at_level(logging.WARNING, logger="kb.serve"):
        assert type(start_tracing({"OTEL_TRACES_EXPORTER": "zipkin"}, "acme", False, "1")) is Tracing
        monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
        assert type(start_tracing({"OTEL_TRACES_EXPORTER": "otlp"}, "acme", False, "1")) is Tracing
    assert "'zipkin'" in caplog.text
    assert "pip install symptom-kb[otel]" in caplog.text


class _Collector(BaseHTTPRequestHandler):
    received: tuple[str, bytes] = ("", b"")

    def do_POST(self) -> None:
        _Collector.received = (self.path, self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_spans_reach_a_collector() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Collector)
    thread = threading.Thread(target=server.handle_request, daemon=True)
    thread.start()
    script = (
        "import os; from service.tracing import start_tracing\n"
        "tracing = start_tracing(os.environ, 'acme', False, '9.9')\n"
        "with tracing.request('GET', '/v1/search', {}) as finish:\n"
        "    finish('/v1/search', 200)\n"
        "tracing.close()\n"
    )
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=Path(__file__).parents[1], check=True)
    thread.join(10)
    server.server_close()
    path, body = _Collector.received
    assert path == "/v1/traces"
    for told in (b"GET /v1/search", tracing.SERVICE_NAME.encode(), b"9.9"):
        assert told in body
