"""AUROC, AURC and operating points against numbers worked out by hand."""

from __future__ import annotations

import pytest

from eval.decisions import Decided, aurc, auroc, best_aurc, brier_score, operating_points, risk_at


def test_auroc_counts_ties_half() -> None:
    # Pairs: 0.9 > 0.5, 0.9 > 0.4, 0.4 < 0.5, 0.4 = 0.4.
    assert auroc([0.9, 0.4], [0.5, 0.4]) == pytest.approx(2.5 / 4)
    assert auroc([2.0], [1.0]) == 1.0
    assert auroc([1.0], [2.0]) == 0.0
    assert auroc([], [1.0]) is None


def test_aurc_by_hand() -> None:
    # Error rates of the first 1, 2, 3: 0, 1/2, 1/3.
    assert aurc([0.9, 0.8, 0.7], [False, True, False]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert aurc([0.7, 0.9, 0.8], [False, False, True]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert aurc([], []) is None


def test_aurc_does_not_depend_on_the_order_of_ties() -> None:
    assert aurc([0.5, 0.5], [True, False]) == aurc([0.5, 0.5], [False, True]) == pytest.approx(0.5)


def test_best_aurc_is_reached_by_a_perfect_confidence() -> None:
    wrong = [True, False, False, True]
    assert best_aurc(wrong) == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)
    assert best_aurc(wrong) == aurc([0.1, 0.9, 0.8, 0.2], wrong)
    assert best_aurc([]) is None


def test_brier_score() -> None:
    assert brier_score([1.0, 0.5], [True, False]) == pytest.approx(0.125)
    assert brier_score([], []) is None


def _ticket(confidence: float, answerable: bool, correct: bool = False) -> Decided:
    return Decided(confidence, True, answerable, correct, correct)


def test_operating_points() -> None:
    tickets = [
        _ticket(0.2, answerable=False),
        _ticket(0.9, answerable=True, correct=True),
        _ticket(0.6, answerable=True),
        _ticket(0.6, answerable=False),
    ]
    points = operating_points(tickets)
    assert [point.threshold for point in points] == [0.9, 0.6, 0.2]
    assert [point.coverage for point in points] == [0.25, 0.75, 1.0]
    assert [point.risk for point in points] == [0.0, pytest.approx(2 / 3), 0.75]
    assert [point.answerable_coverage for point in points] == [0.5, 1.0, 1.0]
    assert [point.false_suggestions for point in points] == [0.0, 0.5, 1.0]
    assert risk_at(points, 0.25) == 0.0
    assert risk_at(points, 0.5) == pytest.approx(2 / 3)
    assert risk_at([], 0.5) is None


def test_operating_points_without_unanswerable_tickets() -> None:
    assert operating_points([_ticket(0.5, answerable=True)])[0].false_suggestions is None
    assert operating_points([]) == []
