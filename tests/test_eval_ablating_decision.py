"""The decision without each of its features, on made-up examples whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from eval.ablating_decision import print_decision_ablation, run_decision_ablation
from eval.calibrating import Example
from service.decision import DecisionModel, Features


def _examples(count: int, seed: int) -> list[Example]:
    """Tickets where only wording tells right from wrong, and which have no error signature and no history."""
    chance = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        right = number % 3 != 0
        for left_out in (False, True) if right else (False,):
            wording = chance.normal(4.0 if right and not left_out else 1.0, 0.8)
            features = Features(chance.normal(0, 0.1), chance.normal(0.5, 0.1), wording, 0.0, 0.0, 0.0, 0.0, 0.0)
            examples.append(Example(features, correct=right and not left_out, answerable=right, left_out=left_out))
    return examples


def test_the_feature_that_tells_is_the_one_that_is_missed() -> None:
    rows = run_decision_ablation(_examples(90, 1), _examples(120, 2), trust=0.0, budget=0.1)
    named = {row.name: row for row in rows}
    assert list(named) == [
        "all features",
        *(f"without {name}" for name in ("nearness", "likeness", "wording")),
        *(f"{name} alone" for name in ("nearness", "likeness", "wording")),
    ], "features that are the same for every ticket have no row"
    everything, gone, alone = named["all features"], named["without wording"], named["wording alone"]
    assert everything.auroc is not None
    assert everything.auroc.value > 0.95
    assert everything.auroc_delta is None
    assert gone.auroc is not None
    assert gone.auroc.value == pytest.approx(0.5, abs=0.15)
    assert gone.auroc_delta is not None
    assert gone.auroc_delta.interval.value == pytest.approx(gone.auroc.value - everything.auroc.value)
    assert gone.auroc_delta.interval.high < 0
    assert gone.left_out_delta is not None
    assert gone.left_out_delta.interval.high < 0
    assert everything.coverage is not None
    assert gone.coverage is not None
    assert gone.coverage_delta is not None
    assert gone.coverage_delta.interval.value == pytest.approx(gone.coverage.value - everything.coverage.value)
    assert everything.coverage.value - gone.coverage.value > 0.5, "the budget leaves little without it"
    assert alone.auroc_delta is not None
    assert abs(alone.auroc_delta.interval.value) < 0.05
    assert everything.precision is not None
    assert everything.precision.value > 0.8
    assert gone.as_dict()["auroc_delta"]["value"] == gone.auroc_delta.interval.value
    console = Console(record=True, width=80)
    print_decision_ablation(rows, console)
    assert "without wording" in console.export_text()


def test_without_a_fit_there_is_no_threshold_to_measure_at() -> None:
    examples = _examples(60, 3)
    rows = run_decision_ablation(examples, None, trust=0.0, budget=0.1)
    model = DecisionModel()
    asked = [example for example in examples if not example.left_out]
    sure = [model.probability(example.features) for example in asked if example.answerable]
    unsure = [model.probability(example.features) for example in asked if not example.answerable]
    assert rows[0].auroc is not None
    assert rows[0].auroc.value == pytest.approx(np.mean([a > b for a in sure for b in unsure]))
    assert {(row.coverage, row.precision, row.false_suggestions) for row in rows} == {(None, None, None)}


def test_no_unanswerable_tickets() -> None:
    answerable = [example for example in _examples(40, 4) if example.answerable]
    rows = run_decision_ablation(answerable, None, trust=0.0, budget=0.1)
    assert {row.auroc for row in rows} == {None}
    assert all(row.left_out for row in rows)
    print_decision_ablation(rows, Console(record=True, width=80))
