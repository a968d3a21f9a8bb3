"""Prometheus metrics of one app. No label ever holds what a caller typed."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A third more lines, and nothing reads them in this format.
disable_created_metrics()  # type: ignore[no-untyped-call]
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The service's counters, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "kb_http_requests", "Requests, by route template.", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "kb_http_request_seconds", "Time to answer a request.", ["route"], registry=self.registry, buckets=_BUCKETS
        )
        self.answers = Counter("kb_answers", "Questions, by outcome.", ["outcome"], registry=self.registry)
        self.answer_seconds = Histogram(
            "kb_answer_seconds", "Time in the assistant, waiting excluded.", registry=self.registry, buckets=_BUCKETS
        )
        self.questions_in_flight = Gauge(
            "kb_questions_in_flight", "Questions being answered or waiting.", registry=self.registry
        )
        self.refused = Counter("kb_questions_refused", "Questions refused, the queue full.", registry=self.registry)
        self.abandoned = Counter(
            "kb_questions_abandoned", "Questions not answered because the caller hung up.", registry=self.registry
        )
        self.cached_answers = Counter(
            "kb_answer_cache", "Looks into the answer cache, by result.", ["result"], registry=self.registry
        )
        self.reloads = Counter("kb_index_reloads", "New index versions, by result.", ["result"], registry=self.registry)
        self.feedback = Counter("kb_feedback", "Verdicts on articles.", ["helpful"], registry=self.registry)
        self.intake_deliveries = Counter(
            "kb_intake_deliveries",
            "Deliveries to /v1/intake: accepted, duplicate, ignored, handshake, question, or rejected and why.",
            ["connector", "outcome"],
            registry=self.registry,
        )
        self.intake_notes = Counter(
            "kb_intake_notes",
            "Notes: delivered, retried, dead, or nothing to write.",
            ["connector", "outcome"],
            registry=self.registry,
        )
        # There from the start: the first of a kind is an increase only where a nought came before it.
        for counter, values in (
            (self.answers, ("answered", "abstained")),
            (self.cached_answers, ("hit", "miss")),
            (self.reloads, ("taken", "refused")),
            (self.feedback, ("true", "false")),
        ):
            for value in values:
                counter.labels(value)
        self.intake_seconds = Histogram(
            "kb_intake_seconds", "From a delivery to its written note.", registry=self.registry, buckets=_BUCKETS
        )

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
