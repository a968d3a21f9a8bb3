"""OpenTelemetry traces of requests and of the retrieval in them, where the operator's environment asks for them.

The one home of the names. HTTP server spans follow the stable conventions; those of GenAI retrieval are in development
(github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/retrieval.md), so they may have to follow them here.
No span holds an address, a question, a text of an article or the message of an error.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

    from service.answers import Answer

logger = logging.getLogger("kb.serve")

SERVICE_NAME = "symptom-kb"

METHOD = "http.request.method"
ROUTE = "http.route"
STATUS = "http.response.status_code"
ERROR_TYPE = "error.type"

OPERATION = "gen_ai.operation.name"
RETRIEVAL = "retrieval"
DATA_SOURCE = "gen_ai.data_source.id"
TOP_K = "gen_ai.retrieval.top_k"
DOCUMENTS = "gen_ai.retrieval.documents"

ANSWERED = "kb.answered"
CONFIDENCE = "kb.confidence"
INDEX_VERSION = "kb.index.version"
CACHED = "kb.cached"

_UNTRACED = ("/v1/health", "/v1/ready", "/metrics", "/static/")
"""What monitors and browsers ask for again and again, and nobody looks for in a trace."""

_ASKED_BY = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

FinishRequest = Callable[[str, int], None]
"""Called with the route's template and the status when a request has been answered."""


class FinishRetrieval(Protocol):
    """Called with the answer, and whether it was kept from before."""

    def __call__(self, answer: Answer, *, cached: bool) -> None: ...


class Tracing:
    """Spans of one process. This one makes none."""

    @contextlib.contextmanager
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[FinishRequest]:
        """Around one request, a child of the caller's span where `headers` name one (`traceparent`)."""
        yield lambda route, status: None

    @contextlib.contextmanager
    def retrieval(self, limit: int) -> Iterator[FinishRetrieval]:
        """Around one question, from its place in the queue to its answer; `limit`: how many articles were asked for."""
        yield _forget

    def close(self) -> None:
        """Send what is not sent yet."""


class OtelTracing(Tracing):
    """Spans through an OpenTelemetry provider, which is ours alone: libraries that trace by themselves stay silent."""

    def __init__(self, provider: TracerProvider, data_source: str, documents: bool = False) -> None:
        """
        Args:
            data_source: what the index is called in spans.
            documents: also tell which articles were found, as ids and scores; the conventions have it opt-in.
        """
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE_NAME)
        self._data_source = data_source
        self._documents = documents

    @contextlib.contextmanager
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[FinishRequest]:
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        if path.startswith(_UNTRACED):
            yield lambda route, status: None
            return
        with self._tracer.start_as_current_span(
            method,
            context=extract(headers),
            kind=SpanKind.SERVER,
            attributes={METHOD: method},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def finish(route: str, status: int) -> None:
                span.update_name(f"{method} {route}")
                span.set_attributes({ROUTE: route, STATUS: status})
                if status >= 500:
                    _fail(span, str(status))

            yield finish

    @contextlib.contextmanager
    def retrieval(self, limit: int) -> Iterator[FinishRetrieval]:
        with self._tracer.start_as_current_span(
            RETRIEVAL,
            attributes={OPERATION: RETRIEVAL, DATA_SOURCE: self._data_source, TOP_K: limit},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:

            def finish(answer: Answer, *, cached: bool) -> None:
                span.set_attributes(
                    {
                        ANSWERED: answer.answered,
                        CONFIDENCE: answer.confidence,
                        INDEX_VERSION: answer.index_version,
                        CACHED: cached,
                    }
                )
                if self._documents:
                    found = [{"id": article.article_id, "score": article.score} for article in answer.suggestions]
                    span.set_attribute(DOCUMENTS, json.dumps(found))

            try:
                yield finish
            except Exception as error:
                _fail(span, type(error).__name__)
                raise

    def close(self) -> None:
        self._provider.shutdown()


def start_tracing(environment: Mapping[str, str], data_source: str, documents: bool, version: str) -> Tracing:
    """Traces sent by OTLP over HTTP where `environment` has OpenTelemetry's own variables for it; else none.

    Where traces are asked for and cannot be sent, a warning says why, and the service goes on without.
    """
    exporter = environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower()
    is_disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_disabled or exporter == "none" or not any(environment.get(name) for name in _ASKED_BY):
        return Tracing()
    if exporter != "otlp":
        logger.warning("no traces: OTEL_TRACES_EXPORTER is %r, and only otlp and none are known here", exporter)
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        logger.warning("no traces: they are asked for by OTEL_ variables, and need `pip install symptom-kb[otel]`")
        return Tracing()
    ours = {"service.version": version}
    if not environment.get("OTEL_SERVICE_NAME") and "service.name=" not in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        ours["service.name"] = SERVICE_NAME
    provider = TracerProvider(resource=Resource.create(ours))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracing(provider, data_source, documents)


def _fail(span: Span, kind: str) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute(ERROR_TYPE, kind)
    span.set_status(StatusCode.ERROR)


def _forget(answer: Answer, *, cached: bool) -> None:
    """What becomes of an answer without traces."""
