"""Intervals: seeded, of the right width, paired where they should be."""

from __future__ import annotations

import pytest

from eval.bootstrap import auroc_delta, auroc_interval, mean_interval, paired_delta, ratio_interval
from eval.decisions import auroc


def test_same_values_same_interval() -> None:
    values = [0.0, 1.0, 1.0, 0.5, 0.25]
    assert mean_interval(values) == mean_interval(list(values))
    assert mean_interval(values) != mean_interval([*values, 1.0])


def test_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    interval = mean_interval([0.0, 1.0] * 200)
    assert interval is not None
    # The standard error of a share of one half among 400 is 0.025.
    assert interval.value == 0.5
    assert interval.low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.004)
    assert interval.high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.004)


def test_all_or_none_is_not_certain() -> None:
    every, none = mean_interval([1.0] * 39), mean_interval([0.0] * 39)
    assert every is not None
    assert none is not None
    # Clopper-Pearson for 0 of 39 at 95 %.
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.0903, abs=1e-4)
    assert (every.value, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(0.9097, abs=1e-4)


def test_no_values_no_interval() -> None:
    assert mean_interval([]) is None
    assert ratio_interval([0.0, 0.0], [0.0, 0.0]) is None
    assert paired_delta([], []) is None
    assert auroc_interval([], [0.5]) is None


def test_ratio_leaves_out_empty_resamples() -> None:
    interval = ratio_interval([1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    assert interval is not None
    assert (interval.value, interval.low, interval.high) == (0.5, 0.0, 1.0)


def test_paired_delta_is_narrower_than_two_intervals() -> None:
    first = [0.0, 1.0] * 100
    second = [value + 0.1 for value in first]
    delta = paired_delta(first, second)
    assert delta is not None
    assert delta.interval.value == pytest.approx(0.1)
    assert delta.interval.high - delta.interval.low < 1e-9
    assert delta.better_share == 1.0


def test_equal_systems_are_ahead_half_the_time() -> None:
    delta = paired_delta([0.2, 0.7], [0.2, 0.7])
    assert delta is not None
    assert delta.better_share == 0.5
    assert (delta.interval.low, delta.interval.high) == (0.0, 0.0)


@pytest.mark.parametrize("paired", [True, False])
def test_auroc_value_is_that_of_the_rank_formula(paired: bool) -> None:
    positives, negatives = [0.9, 0.4, 0.4, 0.8], [0.5, 0.4, 0.1, 0.8]
    interval = auroc_interval(positives, negatives, paired=paired)
    assert interval is not None
    assert interval.value == pytest.approx(auroc(positives, negatives))
    assert interval.low <= interval.value <= interval.high


def test_auroc_groups_of_different_size() -> None:
    interval = auroc_interval([0.9, 0.8, 0.05], [0.1] * 11)
    assert interval is not None
    assert interval.value == pytest.approx(2 / 3)
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_an_auroc_of_one_is_not_certain() -> None:
    interval = auroc_interval([0.9, 0.8, 0.7] * 20, [0.1] * 4)
    assert interval is not None
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low == pytest.approx(0.025 ** (1 / 4))


def test_auroc_delta_is_the_difference_and_paired() -> None:
    first = ([0.9, 0.4, 0.6], [0.5, 0.1])
    second = ([0.9, 0.8, 0.7], [0.5, 0.1])
    delta = auroc_delta(first, second)
    assert delta is not None
    one, two = auroc_interval(*first), auroc_interval(*second)
    assert one is not None
    assert two is not None
    assert delta.interval.value == pytest.approx(two.value - one.value)
    assert delta.interval.low >= 0
    assert delta.better_share > 0.5
    same = auroc_delta(first, first)
    assert same is not None
    assert (same.interval.low, same.interval.high, same.better_share) == (0.0, 0.0, 0.5)
    assert auroc_delta(([], [0.5]), ([], [0.5])) is None
