"""Percentile bootstrap intervals: how far a figure would move with another sample of tickets of the same kind.

Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. A resample of n tickets is a vector of n
counts (how often each ticket was drawn), so every statistic here is a product with the matrix of counts. The generator
is seeded anew for each interval: the same figures give the same interval, in whatever order they are asked for.

Resampling a share of exactly 0 or 1 gives that share every time, as if it were certain. There the exact binomial bound
of Clopper & Pearson (Biometrika 26, 1934) stands in: 0 of 39 is 0.000 to 0.090, not 0 to 0. For an AUROC of 0 or 1 it
is that of the smaller group, which is cautious.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESAMPLES = 10_000
SEED = 20_260
LEVEL = 0.95

_CELLS_PER_BATCH = 2_000_000
"""Counts drawn at a time, so that memory stays flat for any number of tickets."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Delta:
    """A difference of two systems on the same tickets.

    Attributes:
        better_share: share of resamples in which the second system is ahead, ties counted half.
    """

    interval: Interval
    better_share: float

    def as_dict(self) -> dict[str, float]:
        return {**self.interval.as_dict(), "better_share": self.better_share}


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The mean of `values` with its interval; None without values."""
    return ratio_interval(values, [1.0] * len(values))


def ratio_interval(numerators: Sequence[float], denominators: Sequence[float]) -> Interval | None:
    """sum(numerators) / sum(denominators) over tickets; None where the denominators sum to 0.

    Resamples whose denominators sum to 0 say nothing and are left out. Numerators are from 0 to their denominators.
    """
    import numpy as np

    if not sum(denominators):
        return None
    if sum(numerators) in (0, sum(denominators)):
        return _exact(sum(numerators) / sum(denominators), sum(denominators))
    table = np.array([numerators, denominators], np.float64).T
    sums = np.concatenate([counts @ table for counts in _draws(len(table))])
    usable = sums[sums[:, 1] > 0]
    return _interval(sum(numerators) / sum(denominators), usable[:, 0] / usable[:, 1])


def paired_delta(first: Sequence[float], second: Sequence[float]) -> Delta | None:
    """mean(second) - mean(first), the same tickets drawn for both; None without tickets."""
    import numpy as np

    differences = np.array(second, np.float64) - np.array(first, np.float64)
    if not len(differences):
        return None
    means = np.concatenate([counts @ differences for counts in _draws(len(differences))]) / len(differences)
    means = np.where(np.abs(means) < 1e-12, 0.0, means)
    ahead = float(np.mean(means > 0) + np.mean(means == 0) / 2)
    return Delta(_interval(float(differences.mean()), means), ahead)


def auroc_interval(positives: Sequence[float], negatives: Sequence[float], paired: bool = False) -> Interval | None:
    """`decisions.auroc` with its interval; None unless there are both.

    Args:
        paired: `positives[i]` and `negatives[i]` are of one ticket, so both are drawn together.
    """
    if not len(positives) or not len(negatives):
        return None
    wins = _wins(positives, negatives)
    value = float(wins.mean())
    if value in (0, 1):
        return _exact(value, min(wins.shape))
    return _interval(value, _resampled_share(wins, paired))


def auroc_delta(
    first: tuple[Sequence[float], Sequence[float]],
    second: tuple[Sequence[float], Sequence[float]],
    paired: bool = False,
) -> Delta | None:
    """AUROC of `second` minus that of `first`, each (positives, negatives) of the same tickets in the same order.

    None unless there are both; `paired` as for `auroc_interval`.
    """
    import numpy as np

    if not len(first[0]) or not len(first[1]):
        return None
    wins = _wins(*second) - _wins(*first)
    means = _resampled_share(wins, paired)
    means = np.where(np.abs(means) < 1e-12, 0.0, means)
    ahead = float(np.mean(means > 0) + np.mean(means == 0) / 2)
    return Delta(_interval(float(wins.mean()), means), ahead)


def _resampled_share(wins: Floats, paired: bool) -> Floats:
    """The mean of `wins` for every resample of its rows and of its columns; of both at once if they are paired."""
    import numpy as np

    rows, columns = wins.shape
    ours = _draws(rows, wins.size)
    theirs = _draws(columns, wins.size, SEED if paired else SEED + 1)
    batches = [((drawn @ wins) * other).sum(axis=1) for drawn, other in zip(ours, theirs, strict=True)]
    return np.concatenate(batches) / wins.size


def _wins(positives: Sequence[float], negatives: Sequence[float]) -> Floats:
    """1 where the positive (row) is above the negative (column), a half where they are equal."""
    import numpy as np

    difference = np.array(positives, np.float64)[:, None] - np.array(negatives, np.float64)[None, :]
    return (np.sign(difference) + 1) / 2


def _draws(size: int, cells: int = 0, seed: int = SEED) -> Iterator[Floats]:
    """RESAMPLES rows of counts in batches; `cells` sizes the batches where several groups must keep step."""
    import numpy as np

    generator = np.random.default_rng(seed)
    chances = np.full(size, 1.0 / size)
    batch = max(1, min(RESAMPLES, _CELLS_PER_BATCH // max(size, cells // size if cells else 0)))
    for start in range(0, RESAMPLES, batch):
        yield generator.multinomial(size, chances, size=min(batch, RESAMPLES - start)).astype(np.float64)


def _exact(value: float, tickets: float) -> Interval:
    """Clopper-Pearson where none or all of `tickets` count: the tail solves (1 - p)^n = 0.025."""
    bound = ((1 - LEVEL) / 2) ** (1 / tickets)
    return Interval(0.0, 0.0, 1 - bound) if value == 0 else Interval(1.0, bound, 1.0)


def _interval(value: float, resampled: Any) -> Interval:
    import numpy as np

    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(float(value), float(low), float(high))
