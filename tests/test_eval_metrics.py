"""Ranking measures against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from eval.metrics import MEANINGS, MEASURES, score_rankings


def test_one_of_two_right_articles_at_rank_two() -> None:
    scores = score_rankings({"q": {"a": 1, "b": 1}}, {"q": ["x", "a", "y"]})["q"]
    discount = 1 / math.log2(3)
    assert scores == pytest.approx(
        {
            "Success@1": 0.0,
            "Success@3": 1.0,
            "Success@5": 1.0,
            "RR@10": 0.5,
            "nDCG@10": discount / (1 + discount),
            "R@5": 0.5,
        }
    )


def test_grades_gain_linearly() -> None:
    scores = score_rankings({"q": {"a": 2, "b": 1}}, {"q": ["b", "a"]})["q"]
    assert scores["nDCG@10"] == pytest.approx((1 + 2 / math.log2(3)) / (2 + 1 / math.log2(3)))


def test_depth_is_cut() -> None:
    ranking = [f"x{i}" for i in range(5)] + ["a"]
    scores = score_rankings({"q": {"a": 1}}, {"q": ranking})["q"]
    assert (scores["Success@5"], scores["R@5"]) == (0.0, 0.0)
    assert scores["RR@10"] == pytest.approx(1 / 6)
    assert scores["nDCG@10"] == pytest.approx(1 / math.log2(7))


def test_grade_zero_is_not_relevant() -> None:
    assert score_rankings({"q": {"x": 0, "a": 1}}, {"q": ["x", "a"]})["q"]["Success@1"] == 0.0


def test_query_without_ranking_scores_zero() -> None:
    scores = score_rankings({"q": {"a": 1}, "r": {"a": 1}}, {"q": ["a"]})
    assert set(scores["r"].values()) == {0.0}
    assert set(scores["q"].values()) == {1.0}
    assert score_rankings({"q": {"a": 1}}, {})["q"] == dict.fromkeys(MEASURES, 0.0)


def test_rank_decides_and_not_the_name() -> None:
    names = ["z", "m", "a", "k"]
    assert score_rankings({"q": {"m": 1}}, {"q": names})["q"]["RR@10"] == 0.5


def test_every_measure_is_explained() -> None:
    assert tuple(MEANINGS) == MEASURES
