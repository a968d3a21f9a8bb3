"""What each feature of the decision is worth: the decision fitted anew without one, on the same tickets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from eval.bootstrap import Delta, Interval, auroc_delta, auroc_interval, mean_interval, paired_delta, ratio_interval
from eval.calibrating import Example, fit_decision
from service.decision import DecisionModel, Features, default_decision

if TYPE_CHECKING:
    from rich.console import Console

FEATURES = tuple(field.name for field in fields(Features))


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One variant of the decision on the measured tickets. A figure is None where there is nothing to take it from.

    Attributes:
        auroc: answerable against unanswerable tickets.
        auroc_delta: against all features; None for all features themselves.
        left_out: AUROC of answerable tickets against the same with their articles treated as not there.
        coverage: share of answerable tickets that get a suggestion at the budget's threshold; None without a fit,
            because the default threshold is meant for all features.
        precision: share of suggestions whose first article is right; likewise.
        false_suggestions: share of unanswerable tickets that get a suggestion; likewise.
    """

    name: str
    auroc: Interval | None
    auroc_delta: Delta | None
    left_out: Interval | None
    left_out_delta: Delta | None
    coverage: Interval | None
    coverage_delta: Delta | None
    precision: Interval | None
    false_suggestions: Interval | None

    def as_dict(self) -> dict[str, Any]:
        names = [field.name for field in fields(self) if field.name != "name"]
        values = {name: getattr(self, name) for name in names}
        return {"name": self.name, **{name: value and value.as_dict() for name, value in values.items()}}


@dataclass(frozen=True, slots=True)
class _Decided:
    """Probabilities of the measured examples, in their groups, and who gets a suggestion."""

    answerable: list[float]
    unanswerable: list[float]
    left_out: list[float]
    threshold: float
    right: list[bool]
    """Of answerable tickets: whether the first article is right."""


def run_decision_ablation(
    measured: Sequence[Example], fitted_on: Sequence[Example] | None, trust: float, budget: float
) -> list[DecisionRow]:
    """One row for all features, one without each that says anything, and one for each alone.

    Args:
        measured: of the split that is measured, left-out ones included.
        fitted_on: of the split that the decision is calibrated on, anew for every row; None takes the default weights.
        trust, budget: as for `fit_decision`.

    Raises:
        DatasetError: `fitted_on` cannot calibrate anything.
    """
    used = [name for name in FEATURES if any(getattr(example.features, name) for example in measured)]
    variants = {"all features": FEATURES}
    if len(used) > 1:
        variants |= {f"without {name}": tuple(other for other in FEATURES if other != name) for name in used}
        variants |= {f"{name} alone": (name,) for name in used}
    rows: list[DecisionRow] = []
    base: _Decided | None = None
    for name, kept in variants.items():
        model = _model(fitted_on and [_keep(example, kept) for example in fitted_on], trust, budget)
        decided = _decide(model, [_keep(example, kept) for example in measured])
        rows.append(_row(name, decided, base, with_threshold=bool(fitted_on)))
        base = base or decided
    return rows


def print_decision_ablation(rows: Sequence[DecisionRow], console: Console) -> None:
    """The rows as a table that fits 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from service.terminal import print_table

    title = "What each feature of the decision is worth"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("decision", min_width=20, no_wrap=True)
    for column in ("AUROC", "difference", "left out", "coverage", "precision", "false"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        delta = f"{row.auroc_delta.interval.value:+.3f}" if row.auroc_delta else ""
        shares = (row.left_out, row.coverage, row.precision, row.false_suggestions)
        table.add_row(row.name, _value(row.auroc), delta, *map(_value, shares))
    print_table(console, table)


def _model(fitted_on: Sequence[Example] | None, trust: float, budget: float) -> DecisionModel:
    return fit_decision(fitted_on, trust, budget) if fitted_on else default_decision(trust)


def _keep(example: Example, kept: Sequence[str]) -> Example:
    """The example with all features but `kept` the same for everybody, so that they tell nothing."""
    gone = {name: 0.0 for name in FEATURES if name not in kept}
    return replace(example, features=replace(example.features, **gone))


def _decide(model: DecisionModel, examples: Sequence[Example]) -> _Decided:
    chances = [(example, model.probability(example.features)) for example in examples]
    asked = [(example, chance) for example, chance in chances if not example.left_out]
    return _Decided(
        answerable=[chance for example, chance in asked if example.answerable],
        unanswerable=[chance for example, chance in asked if not example.answerable],
        left_out=[chance for example, chance in chances if example.left_out],
        threshold=model.threshold,
        right=[example.correct for example, _ in asked if example.answerable],
    )


def _row(name: str, decided: _Decided, base: _Decided | None, *, with_threshold: bool) -> DecisionRow:
    suggested, wrongly = _suggested(decided.answerable, decided), _suggested(decided.unanswerable, decided)
    right = [one * correct for one, correct in zip(suggested, decided.right, strict=True)]
    delta = left_out_delta = coverage_delta = None
    if base:
        groups = [(one.answerable, one.unanswerable, one.left_out) for one in (base, decided)]
        delta = auroc_delta(groups[0][:2], groups[1][:2])
        left_out_delta = auroc_delta(groups[0][::2], groups[1][::2], paired=True)
        coverage_delta = paired_delta(_suggested(base.answerable, base), suggested) if with_threshold else None
    return DecisionRow(
        name=name,
        auroc=auroc_interval(decided.answerable, decided.unanswerable),
        auroc_delta=delta,
        left_out=auroc_interval(decided.answerable, decided.left_out, paired=True),
        left_out_delta=left_out_delta,
        coverage=mean_interval(suggested) if with_threshold else None,
        coverage_delta=coverage_delta,
        precision=ratio_interval([*right, *[0.0] * len(wrongly)], [*suggested, *wrongly]) if with_threshold else None,
        false_suggestions=mean_interval(wrongly) if with_threshold else None,
    )


def _suggested(chances: Sequence[float], decided: _Decided) -> list[float]:
    return [float(chance >= decided.threshold) for chance in chances]


def _value(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.value:.3f}"
