"""The evaluation report as one Markdown page: tables only, so that it reads the same in a terminal and on a forge."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

from eval.bootstrap import Interval
from eval.decisions import OperatingPoint
from eval.declared import DeclaredAsked
from eval.full_report import FullReport, NamedRun
from eval.markdown import bounds_cell, change_cell, figure_cell, table_lines, value_cell
from eval.metrics import MEANINGS, MEASURES
from eval.runner import Outcome, Run
from eval.summary import Summary, verified_share

_BAR_CELLS = 20
_LISTED = 40
_STEPS = tuple(share / 10 for share in range(1, 11))

Cells = Sequence[str]
Figure = Callable[[Summary], str]


def markdown_page(report: FullReport) -> str:
    """The whole page."""
    parts = [
        _opening(report),
        _ranking(report),
        _decision(report),
        _risk_coverage(report.main),
        _left_out(report),
        _quoting(report),
        _declared(report.declared),
        _slips(report),
        _signals(report),
        _features(report),
        _failures(report.main),
        _speed(report),
    ]
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _opening(report: FullReport) -> Iterator[str]:
    run, summary = report.main.run, report.main.summary
    decision = summary.decision
    yield from (f"# {run.dataset.name}: evaluation report", "")
    yield (
        f"Made on {report.created:%Y-%m-%d %H:%M} UTC by `{report.command}` in {report.took_s:.0f} s, symptom-kb "
        f"{version('symptom-kb')}. Index {run.index_version}: {run.article_count} articles in {run.chunk_count} "
        f"passages, {run.model} {run.precision}. {summary.answerable} answerable and {summary.unanswerable} "
        f"unanswerable tickets{f' of the split {run.dataset.split}' if run.dataset.split else ''}."
    )
    if run.learned:
        yield f"Learned from {run.learned.used} resolved tickets; {run.learned.left_out} that repeat a ticket left out."
    if run.calibrated:
        yield (
            f"The decision is calibrated on {run.calibrated.examples} other tickets ({run.calibrated.fitted_to}) with "
            f"a budget of {run.calibrated.budget:.0%} wrong suggestions{_kept(run.calibrated.budget, summary)}"
        )
    yield from ("", "Figures in brackets are 95 % bootstrap intervals over tickets. What each figure means:")
    yield from ("docs/evaluation.md.", "", "| in short | value | 95 % interval |", "|---|---|---|")
    retrieval = summary.retrieval
    rows = [
        ("a right article first (Success@1)", retrieval.get("Success@1")),
        ("a right article in the first 3 (Success@3)", retrieval.get("Success@3")),
        ("nDCG@10", retrieval.get("nDCG@10")),
        ("answerable tickets that get a suggestion (coverage)", decision.coverage),
        ("suggestions whose first article is right (precision)", decision.precision),
        ("unanswerable tickets that get a suggestion (false suggestions)", decision.false_suggestions),
        ("an answerable ticket is surer than an unanswerable one (AUROC)", decision.auroc),
        (
            "a ticket is surer with its article than without (AUROC)",
            summary.left_out.auroc if summary.left_out else None,
        ),
        ("quoted lines overlap those that answer", summary.snippet_overlap),
    ]
    for name, interval in rows:
        yield f"| {name} | {_alone(interval)} | {bounds_cell(interval)} |"
    yield f"| citations that verify against the files | {value_cell(verified_share(summary))} | |"
    for problem in run.problems:
        yield from ("", f"Note: {problem}.")


def _kept(budget: float, summary: Summary) -> str:
    precision = summary.decision.precision
    if precision is None:
        return "; here it suggests nothing."
    wrong = 1 - precision.value
    return f"; here {wrong:.1%} are wrong, {'within' if wrong <= budget else 'more than'} the budget."


def _ranking(report: FullReport) -> Iterator[str]:
    runs = [named for named in report.runs if named.summary.retrieval]
    if report.main.run.calibrated:
        # The decision changes no rank, so the split that was calibrated would stand here twice.
        runs = [named for named in runs if named is not report.main]
    if not runs:
        return

    def figure(measure: str) -> Figure:
        return lambda summary: figure_cell(summary.retrieval[measure])

    yield from _heading("Ranking", "over answerable tickets")
    yield from _by_run(runs, [(f"{name}: {MEANINGS[name]}", figure(name)) for name in MEASURES])


def _decision(report: FullReport) -> Iterator[str]:
    kinds = sorted({kind for named in report.runs for kind in named.summary.decision.kinds})

    def of(name: str) -> Figure:
        return lambda summary: figure_cell(getattr(summary.decision, name))

    def number(name: str) -> Figure:
        return lambda summary: value_cell(getattr(summary.decision, name))

    def by_kind(name: str, kind: str) -> Figure:
        return lambda summary: figure_cell(getattr(summary.decision, name).get(kind))

    yield from _heading("Decision", "suggesting at the threshold and above")
    rows: list[tuple[str, Figure]] = [
        ("threshold", number("threshold")),
        ("offline deflection potential: answerable, told right", of("deflection_potential")),
        ("coverage: answerable, suggested", of("coverage")),
        ("precision: suggested, first right", of("precision")),
        ("precision in 3", of("precision_top3")),
        ("precision, answerable only", of("precision_answerable")),
        ("false suggestions: unanswerable, suggested", of("false_suggestions")),
        *((f"- {kind}", by_kind("false_suggestions_by_kind", kind)) for kind in kinds),
        ("AUROC: answerable above unanswerable", of("auroc")),
        *((f"- {kind}", by_kind("auroc_by_kind", kind)) for kind in kinds),
        ("AURC (less is better)", number("aurc")),
        ("- the best these rankings allow", number("aurc_best")),
        ("Brier score (less is better)", number("brier")),
    ]
    yield from _by_run(report.runs, rows)


def _risk_coverage(named: NamedRun) -> Iterator[str]:
    yield from _heading("Risk and coverage", f"{named.name}: the surest tickets, and how many of them are told wrong")
    headings = (
        "surest share of all tickets",
        "confidence from",
        "wrong",
        "",
        "answerable reached",
        "false suggestions",
    )
    rows = []
    for share in _STEPS:
        point = _point_at(named.summary.decision.curve, share)
        if point is None:
            continue
        bar = "█" * round(point.risk * _BAR_CELLS) or "·"
        cells = (f"{point.threshold:.2f}", f"{point.risk:.3f}", f"`{bar}`", value_cell(point.answerable_coverage))
        rows.append((f"{point.coverage:.0%}", *cells, value_cell(point.false_suggestions)))
    yield from table_lines(headings, rows)


def _left_out(report: FullReport) -> Iterator[str]:
    def of(name: str) -> Figure:
        return lambda summary: figure_cell(getattr(summary.left_out, name)) if summary.left_out else "-"

    if any(named.summary.left_out for named in report.runs):
        yield from _heading("Leave-article-out", "every answerable ticket once more, its labelled articles not there")
        rows = [
            ("AUROC: article there above gone", of("auroc")),
            ("confidence drops once the article is gone", of("dropped")),
            ("coverage: suggested, article there", of("coverage")),
            ("false suggestions: suggested, article gone", of("false_suggestions")),
        ]
        yield from _by_run(report.runs, rows)


def _quoting(report: FullReport) -> Iterator[str]:
    def citations(summary: Summary) -> str:
        return f"{summary.citations - len(summary.citation_failures)} of {summary.citations}"

    rows: list[tuple[str, Figure]] = [("citations that verify against the files", citations)]
    if any(named.summary.snippets_judged for named in report.runs):
        rows += [
            ("pairs of ticket and article with marked lines", lambda summary: str(summary.snippets_judged)),
            ("- article not among the first 10", lambda summary: str(summary.snippets_not_suggested)),
            ("a snippet overlaps the marked lines", lambda summary: figure_cell(summary.snippet_overlap)),
            ("the first snippet does", lambda summary: figure_cell(summary.first_snippet_overlap)),
        ]
    yield from _heading("Citations and snippets", "")
    yield from _by_run(report.runs, rows)
    for reason in report.main.summary.citation_failures[:_LISTED]:
        yield f"- {reason}"


def _declared(asked: DeclaredAsked) -> Iterator[str]:
    if not asked.errors:
        return
    yield from _heading("Errors by name", "each error that an article names in `error_codes`, asked alone")
    rows = [
        ("errors", str(asked.errors)),
        ("an article that names it comes first", f"{asked.first} of {asked.errors}"),
        ("answered with a suggestion", f"{asked.answered} of {asked.errors}"),
    ]
    yield from table_lines(("", "number"), rows)
    if asked.elsewhere:
        yield from ("", f"Led elsewhere: {', '.join(f'`{name}`' for name in asked.elsewhere[:_LISTED])}.")


def _slips(report: FullReport) -> Iterator[str]:
    if report.slips:
        yield from _heading("Slips of the finger", "subjects of tickets asked alone, slips put into their longer words")
        rows = [(f"{row.share:.0%}", str(row.asked), f"{row.ndcg:.3f}", f"{row.answered:.3f}") for row in report.slips]
        yield from table_lines(("words with a slip", "subjects", "nDCG@10", "answered with a suggestion"), rows)


def _signals(report: FullReport) -> Iterator[str]:
    if report.signals:
        split = report.main.run.dataset.split
        yield from _heading(
            "What each signal is worth", f"the ranking of {split or 'all'} without it, or with it alone"
        )
        rows = [
            (row.name.replace("  ", "- "), figure_cell(row.value), f"{row.first:.3f}", change_cell(row.delta))
            for row in report.signals
        ]
        yield from table_lines(("ranking", "nDCG@10", "Success@1", "difference of nDCG@10"), rows)


def _features(report: FullReport) -> Iterator[str]:
    if not report.decision:
        return
    made = report.main.run.calibrated
    how = f"fitted anew each time, at most {made.budget:.0%} wrong" if made else "default weights, the others unchanged"
    yield from _heading("What each feature of the decision is worth", how)
    headings = ["decision", "AUROC", "difference", "left-out AUROC", "difference"]
    headings += ["coverage", "difference", "precision", "false suggestions"] if made else []
    rows = []
    for row in report.decision:
        cells = [row.name, _alone(row.auroc), change_cell(row.auroc_delta)]
        cells += [_alone(row.left_out), change_cell(row.left_out_delta)]
        if made:
            cells += [_alone(row.coverage), change_cell(row.coverage_delta)]
            cells += [_alone(row.precision), _alone(row.false_suggestions)]
        rows.append(cells)
    yield from table_lines(headings, rows)
    yield from ("", "Differences are paired, with their intervals; those of the figures themselves are in report.json.")


def _failures(named: NamedRun) -> Iterator[str]:
    run = named.run
    missed = [one for one in run.outcomes if one.ticket.answerable and _rank(one) != 1]
    wrongly = [one for one in run.outcomes if not one.ticket.answerable and one.suggested]
    if missed:
        yield from _heading("Where the ranking fails", f"{len(missed)} tickets without a right article first")
        rows = [
            (
                one.ticket.query_id,
                str(_rank(one) or "not in 10"),
                _names(run, sorted(one.ticket.relevant)),
                *_first(run, one),
            )
            for one in missed[:_LISTED]
        ]
        yield from table_lines(("ticket", "rank of the right one", "right", "first instead", "suggested"), rows)
        if len(missed) > _LISTED:
            yield f"and {len(missed) - _LISTED} more: see report.json"
    if wrongly:
        yield from _heading("Where the decision fails", f"{len(wrongly)} unanswerable tickets with a suggestion")
        wrong = [
            (one.ticket.query_id, one.ticket.kind or "", f"{one.confidence:.2f}", _first(run, one)[0])
            for one in sorted(wrongly, key=lambda one: -one.confidence)[:_LISTED]
        ]
        yield from table_lines(("ticket", "kind", "confidence", "suggested"), wrong)


def _speed(report: FullReport) -> Iterator[str]:
    busy = f"{os.cpu_count()} cores, load average before the run {report.load_before:.1f}"
    yield from _heading("Speed", f"milliseconds a question, one at a time; {busy}")
    rows: list[tuple[str, Figure]] = [
        ("p50", lambda summary: f"{summary.latency_p50_ms:.1f}"),
        ("p95", lambda summary: f"{summary.latency_p95_ms:.1f}"),
        ("first question, before anything is warm", lambda summary: f"{summary.first_ms:.1f}"),
    ]
    yield from _by_run(report.runs, rows)


def _heading(title: str, more: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    if more:
        yield from (f"{more[0].upper()}{more[1:]}.", "")


def _by_run(runs: Sequence[NamedRun], rows: Sequence[tuple[str, Figure]]) -> Iterator[str]:
    """A table with a column for each run."""
    yield from table_lines(
        ["", *(named.name for named in runs)],
        [(name, *(figure(named.summary) for named in runs)) for name, figure in rows],
    )


def _point_at(curve: Sequence[OperatingPoint], share: float) -> OperatingPoint | None:
    """The first point that reaches so large a share of all tickets."""
    return next((point for point in curve if point.coverage >= share - 1e-9), None)


def _rank(outcome: Outcome) -> int | None:
    ranks = (rank for rank, (path, _) in enumerate(outcome.ranked, start=1) if path in outcome.ticket.relevant)
    return next(ranks, None)


def _first(run: Run, outcome: Outcome) -> tuple[str, str]:
    first = _names(run, [path for path, _ in outcome.ranked[:1]]) or "nothing"
    return first, f"yes, {outcome.confidence:.2f}" if outcome.suggested else f"no, {outcome.confidence:.2f}"


def _names(run: Run, paths: Sequence[str]) -> str:
    return ", ".join(run.dataset.document_id(path) for path in paths)


def _alone(interval: Interval | None) -> str:
    """A figure without its interval, where a table has no room for it."""
    return value_cell(interval.value if interval else None)
