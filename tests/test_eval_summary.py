"""Decision figures on made-up outcomes."""

from __future__ import annotations

import pytest

from eval.summary import summarise_decision
from tests.eval_world import outcome

RIGHT, WRONG = {"Success@1": 1.0, "Success@3": 1.0}, {"Success@1": 0.0, "Success@3": 1.0}


def _value(interval: object) -> float:
    return float(getattr(interval, "value"))  # noqa: B009 (the attribute of an optional interval)


def test_answerable_and_unanswerable_are_kept_apart() -> None:
    outcomes = [
        outcome("a", ["x"], labels={"x": 1}, confidence=0.9),
        outcome("b", ["y"], labels={"x": 1}, confidence=0.8),
        outcome("c", ["x"], labels={"x": 1}, confidence=0.3, suggested=False),
        outcome("d", ["x"], confidence=0.7, kind="hard"),
        outcome("e", ["x"], confidence=0.1, suggested=False, kind="easy"),
    ]
    found = summarise_decision(outcomes, {"a": RIGHT, "b": WRONG, "c": RIGHT}, 0.5)
    assert _value(found.deflection_potential) == pytest.approx(1 / 3)
    assert _value(found.coverage) == pytest.approx(2 / 3)
    assert _value(found.precision) == pytest.approx(1 / 3)
    assert _value(found.precision_top3) == pytest.approx(2 / 3)
    assert _value(found.precision_answerable) == pytest.approx(1 / 2)
    assert _value(found.false_suggestions) == pytest.approx(1 / 2)
    assert _value(found.auroc) == pytest.approx(5 / 6)
    assert _value(found.auroc_by_kind["hard"]) == pytest.approx(2 / 3)
    assert _value(found.auroc_by_kind["easy"]) == 1.0
    # Error rates of the first 1 to 5, most confident first: right, wrong, wrong, right, wrong.
    assert found.aurc == pytest.approx((0 + 1 / 2 + 2 / 3 + 2 / 4 + 3 / 5) / 5)
    assert found.aurc_answerable == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert found.brier == pytest.approx((0.01 + 0.64 + 0.49 + 0.49 + 0.01) / 5)
    assert [point.threshold for point in found.curve] == [0.9, 0.8, 0.7, 0.3, 0.1]


def test_nothing_suggested() -> None:
    found = summarise_decision([outcome("a", ["x"], labels={"x": 1}, suggested=False)], {"a": RIGHT}, 0.5)
    assert found.precision is None
    assert _value(found.coverage) == 0.0
