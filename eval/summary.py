"""From outcomes to figures: what `kb eval run` prints and writes. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.bootstrap import Interval, auroc_interval, mean_interval, ratio_interval
from eval.decisions import Decided, OperatingPoint, aurc, best_aurc, brier_score, operating_points
from eval.leave_out import LeftOut, summarise_left_out
from eval.metrics import MEASURES, score_rankings
from eval.runner import Outcome, Run


@dataclass(frozen=True, slots=True)
class DecisionFigures:
    """How well the assistant knows when to suggest. Any figure is None where there are no tickets to take it from.

    Attributes:
        threshold: confidence from which the assistant suggests.
        deflection_potential: share of answerable tickets that get a suggestion whose first article is right. *Offline*
            deflection potential: nobody was deflected, so it is no rate.
        coverage: share of answerable tickets that get a suggestion.
        precision, precision_top3: share of all suggestions whose first article (one of the first three) is right; one
            to an unanswerable ticket is always wrong.
        precision_answerable: the same among suggestions to answerable tickets only.
        false_suggestions: share of unanswerable tickets that get a suggestion.
        auroc: chance that an answerable ticket is more confident than an unanswerable one.
        auroc_by_kind: the same against each kind of unanswerable ticket alone.
        false_suggestions_by_kind: likewise.
        aurc, aurc_answerable: see `decisions.aurc`, over all and over answerable tickets.
        aurc_best: the least AURC that any confidence could have on these rankings.
        brier: mean squared distance of confidence from the first suggestion's being right, over all tickets.
    """

    threshold: float
    deflection_potential: Interval | None
    coverage: Interval | None
    precision: Interval | None
    precision_top3: Interval | None
    precision_answerable: Interval | None
    false_suggestions: Interval | None
    auroc: Interval | None
    auroc_by_kind: Mapping[str, Interval | None]
    false_suggestions_by_kind: Mapping[str, Interval | None]
    kinds: Mapping[str, int]
    aurc: float | None
    aurc_answerable: float | None
    aurc_best: float | None
    brier: float | None
    curve: Sequence[OperatingPoint]


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything about one run in figures.

    Attributes:
        per_query: every measure of every answerable ticket.
        retrieval: their means; empty without answerable tickets.
        citation_failures: reasons, one for each citation that does not hold.
        snippets_judged: (ticket, article) pairs with marked lines whose article was suggested.
        snippets_not_suggested: those whose article was not, so that no snippet was shown.
        latency_p50_ms, latency_p95_ms: of the whole call, by linear interpolation.
    """

    answerable: int
    unanswerable: int
    per_query: Mapping[str, Mapping[str, float]]
    retrieval: Mapping[str, Interval]
    decision: DecisionFigures
    left_out: LeftOut | None
    citations: int
    citation_failures: Sequence[str]
    snippets_judged: int
    snippets_not_suggested: int
    snippet_overlap: Interval | None
    first_snippet_overlap: Interval | None
    latency_p50_ms: float
    latency_p95_ms: float
    first_ms: float


def summarise(run: Run) -> Summary:
    """All figures of a run."""
    import numpy as np

    answerable = [outcome for outcome in run.outcomes if outcome.ticket.answerable]
    per_query = score_rankings(
        {outcome.ticket.query_id: outcome.ticket.labels for outcome in answerable},
        {outcome.ticket.query_id: [path for path, _ in outcome.ranked] for outcome in answerable},
    )
    means = {name: mean_interval([scores[name] for scores in per_query.values()]) for name in MEASURES}
    marked = sum(len(outcome.snippets) for outcome in run.outcomes)
    # Resampled by ticket: the articles of one ticket stand or fall together.
    judged = [[judgement for judgement in outcome.snippets if judgement.rank] for outcome in run.outcomes]
    counts = [float(len(found)) for found in judged]
    p50, p95 = np.percentile([outcome.took_ms for outcome in run.outcomes], [50, 95])
    return Summary(
        answerable=len(answerable),
        unanswerable=len(run.outcomes) - len(answerable),
        per_query=per_query,
        retrieval={name: interval for name, interval in means.items() if interval},
        decision=summarise_decision(run.outcomes, per_query, run.threshold),
        left_out=summarise_left_out(run),
        citations=sum(outcome.citations for outcome in run.outcomes),
        citation_failures=[reason for outcome in run.outcomes for reason in outcome.citation_failures],
        snippets_judged=int(sum(counts)),
        snippets_not_suggested=marked - int(sum(counts)),
        snippet_overlap=ratio_interval([float(sum(one.any_overlaps for one in found)) for found in judged], counts),
        first_snippet_overlap=ratio_interval(
            [float(sum(one.first_overlaps for one in found)) for found in judged], counts
        ),
        latency_p50_ms=float(p50),
        latency_p95_ms=float(p95),
        first_ms=run.first_ms,
    )


def summarise_decision(
    outcomes: Sequence[Outcome], per_query: Mapping[str, Mapping[str, float]], threshold: float
) -> DecisionFigures:
    """Figures of the decision over answerable and unanswerable tickets. `outcomes` is not empty."""
    decided = [_decided(outcome, per_query.get(outcome.ticket.query_id, {})) for outcome in outcomes]
    answerable = [ticket for ticket in decided if ticket.answerable]
    positives = [ticket.confidence for ticket in answerable]
    by_kind: dict[str, list[Decided]] = {}
    for outcome, ticket in zip(outcomes, decided, strict=True):
        if outcome.ticket.kind is not None:
            by_kind.setdefault(outcome.ticket.kind, []).append(ticket)
    unanswerable = [ticket for tickets in by_kind.values() for ticket in tickets]
    wrong = [not ticket.correct for ticket in decided]
    return DecisionFigures(
        threshold=threshold,
        deflection_potential=mean_interval([float(ticket.suggested and ticket.correct) for ticket in answerable]),
        coverage=mean_interval([float(ticket.suggested) for ticket in answerable]),
        precision=_precision(decided, [ticket.correct for ticket in decided]),
        precision_top3=_precision(decided, [ticket.correct_top3 for ticket in decided]),
        precision_answerable=_precision(answerable, [ticket.correct for ticket in answerable]),
        false_suggestions=_suggested_share(unanswerable),
        auroc=auroc_interval(positives, [ticket.confidence for ticket in unanswerable]),
        auroc_by_kind={
            kind: auroc_interval(positives, [ticket.confidence for ticket in tickets])
            for kind, tickets in by_kind.items()
        },
        false_suggestions_by_kind={kind: _suggested_share(tickets) for kind, tickets in by_kind.items()},
        kinds={kind: len(tickets) for kind, tickets in by_kind.items()},
        aurc=aurc([ticket.confidence for ticket in decided], wrong),
        aurc_answerable=aurc(positives, [not ticket.correct for ticket in answerable]),
        aurc_best=best_aurc(wrong),
        brier=brier_score([ticket.confidence for ticket in decided], [ticket.correct for ticket in decided]),
        curve=operating_points(decided),
    )


def summary_as_dict(summary: Summary) -> dict[str, Any]:
    """The `summary` of `--json`: every figure but the per-query ones; null where there was nothing to measure."""
    decision = summary.decision
    single = ("deflection_potential", "coverage", "precision", "precision_top3", "precision_answerable",
              "false_suggestions", "auroc")  # fmt: skip
    return {
        "answerable": summary.answerable,
        "unanswerable": summary.unanswerable,
        "retrieval": {name: interval.as_dict() for name, interval in summary.retrieval.items()},
        "decision": {
            "threshold": decision.threshold,
            **{_JSON_NAMES.get(name, name): _as_dict(getattr(decision, name)) for name in single},
            "by_kind": {
                kind: {
                    "tickets": count,
                    "auroc": _as_dict(decision.auroc_by_kind[kind]),
                    "false_suggestions": _as_dict(decision.false_suggestions_by_kind[kind]),
                }
                for kind, count in decision.kinds.items()
            },
            "aurc": decision.aurc,
            "aurc_answerable": decision.aurc_answerable,
            "aurc_best": decision.aurc_best,
            "brier": decision.brier,
            "risk_coverage": [point.as_dict() for point in decision.curve],
        },
        "leave_article_out": summary.left_out and summary.left_out.as_dict(),
        "citations": {
            "total": summary.citations,
            "verified": summary.citations - len(summary.citation_failures),
            "share": verified_share(summary),
            "failures": list(summary.citation_failures[:50]),
        },
        "snippets": {
            "judged": summary.snippets_judged,
            "not_suggested": summary.snippets_not_suggested,
            "overlap": _as_dict(summary.snippet_overlap),
            "first_overlap": _as_dict(summary.first_snippet_overlap),
        },
        "latency_ms": {"p50": summary.latency_p50_ms, "p95": summary.latency_p95_ms, "first": summary.first_ms},
    }


_JSON_NAMES = {"deflection_potential": "offline_deflection_potential"}


def verified_share(summary: Summary) -> float | None:
    """Share of citations that hold against the files on disk; None without citations."""
    return 1 - len(summary.citation_failures) / summary.citations if summary.citations else None


def _decided(outcome: Outcome, scores: Mapping[str, float]) -> Decided:
    return Decided(
        confidence=outcome.confidence,
        suggested=outcome.suggested,
        answerable=outcome.ticket.answerable,
        correct=scores.get("Success@1", 0.0) > 0,
        correct_top3=scores.get("Success@3", 0.0) > 0,
    )


def _precision(tickets: Sequence[Decided], correct: Sequence[bool]) -> Interval | None:
    suggested = [float(ticket.suggested) for ticket in tickets]
    return ratio_interval([float(right) * one for right, one in zip(correct, suggested, strict=True)], suggested)


def _suggested_share(tickets: Sequence[Decided]) -> Interval | None:
    return mean_interval([float(ticket.suggested) for ticket in tickets])


def _as_dict(interval: Interval | None) -> dict[str, float] | None:
    return interval.as_dict() if interval else None
