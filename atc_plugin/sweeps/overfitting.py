"""How much of the best Sharpe ratio is luck of the search: formulas alone. `docs/overfitting.md` has their sources.

All Sharpe ratios here are of one bar: mean over standard deviation, not of a year.
"""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from ..threads import share

EULER = 0.5772156649015329
"""The Euler-Mascheroni constant."""

_NORMAL = NormalDist()
_CELLS = 1 << 15  # Sharpe ratios worked on at a time: they stay in a processor's cache, and BLAS starts no threads


# ---------------------------------------------------------------- the deflated Sharpe ratio
def expected_maximum_sharpe(trials: float, variance: float) -> float:
    """The largest Sharpe ratio that so many independent trials without any skill are expected to have.

    Args:
        trials: how many; one expects 0.
        variance: of their Sharpe ratios.

    >>> round(expected_maximum_sharpe(100, 0.5 / 250), 4)
    0.1132
    """
    if not (trials >= 1 and math.isfinite(trials)):
        raise ValueError(f"trials must be at least 1; got {trials!r}")
    if not variance >= 0:
        raise ValueError(f"variance must be at least 0; got {variance!r}")
    if trials == 1 or variance == 0:
        return 0.0
    # Of quantiles near 1 the distance to 1 is what is exact.
    near, far = -_NORMAL.inv_cdf(1 / trials), -_NORMAL.inv_cdf(1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - EULER) * near + EULER * far)


def probabilistic_sharpe_ratio(
    sharpe: float, bars: int, benchmark: float = 0.0, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """The probability that the true Sharpe ratio is above a benchmark, given an estimate from so many bars.

    Args:
        sharpe: the estimate.
        bars: how many returns it is from.
        benchmark: what it is held against.
        skewness: of the returns; 0 for normal ones.
        kurtosis: of the returns; 3 for normal ones.

    >>> round(probabilistic_sharpe_ratio(0.1, 250), 4)
    0.9423
    """
    width = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if not (bars > 1 and width > 0 and math.isfinite(width)):
        return math.nan
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(bars - 1) / math.sqrt(width))


def deflated_sharpe_ratio(
    sharpe: float, bars: int, trials: float, variance: float, skewness: float = 0.0, kurtosis: float = 3.0
) -> float:
    """The probability that the true Sharpe ratio is above 0, given that it is the best of so many trials.

    Arguments as those of `probabilistic_sharpe_ratio` and `expected_maximum_sharpe`.

    The example of the paper, in which the figures of a year have 250 bars:

    >>> round(deflated_sharpe_ratio(2.5 / 250**0.5, 1250, 100, 0.5 / 250, skewness=-3, kurtosis=10), 4)
    0.9004
    """
    return probabilistic_sharpe_ratio(sharpe, bars, expected_maximum_sharpe(trials, variance), skewness, kurtosis)


# ---------------------------------------------------------------- blocks of returns
class Blocks(NamedTuple):
    """Returns of many trials over blocks of bars that follow each other."""

    sums: NDArray[float64]  # (trials, blocks); NaN for a trial that could not be judged
    squares: NDArray[float64]  # (trials, blocks), sums of squares
    bars: NDArray[int64]  # (blocks,)


def blocks_of_returns(returns: NDArray[float64], blocks: int) -> Blocks:
    """Blocks of the returns (bars, trials), so equal in length as can be."""
    edges = [len(returns) * k // blocks for k in range(blocks + 1)]
    parts = [returns[a:b] for a, b in itertools.pairwise(edges)]
    return Blocks(
        np.array([part.sum(axis=0) for part in parts]).T.copy(),
        np.array([(part**2).sum(axis=0) for part in parts]).T.copy(),
        np.diff(edges).astype(int64),
    )


def sharpe_ratios(blocks: Blocks, chosen: NDArray[float64] | None = None) -> NDArray[float64]:
    """The Sharpe ratio of each trial over all blocks, or over those that each column of `chosen` marks with 1.

    0 for a trial that never had a return: it earned nothing, surely. NaN where there is nothing to tell.
    """
    marks = np.ones((blocks.bars.size, 1)) if chosen is None else chosen
    bars = blocks.bars @ marks
    sums, squares = blocks.sums @ marks, blocks.squares @ marks
    with np.errstate(all="ignore"):
        mean = sums / bars
        spread = squares - sums * mean
        # What is left of two equal numbers is a rounding of them, not a risk.
        spread[spread <= 1e-12 * squares] = 0.0
        ratio: NDArray[float64] = mean / np.sqrt(spread / (bars - 1))
        ratio[~np.isfinite(ratio)] = np.nan
        ratio[squares == 0] = 0.0
    return ratio[:, 0] if chosen is None else ratio


def independent_trials(blocks: Blocks) -> float:
    """How many independent trials so many correlated ones are worth: rho + (1 - rho)*N, rho their mean correlation.

    The correlation is that of their returns over the blocks; below 0 it counts as 0. Of trials that never had a return
    nothing is known, and they do not count.
    """
    with np.errstate(all="ignore"):
        means = blocks.sums / blocks.bars
        scores = means - means.mean(axis=1, keepdims=True)
        scores /= np.sqrt((scores**2).sum(axis=1, keepdims=True))
    scores = scores[np.isfinite(scores).all(axis=1)]
    count = len(scores)
    if count < 2:
        return float(count)
    together = float((scores.sum(axis=0) ** 2).sum())  # the sum of all correlations, each with itself too
    rho = min(max((together - count) / (count * (count - 1)), 0.0), 1.0)
    return rho + (1 - rho) * count


# ---------------------------------------------------------------- the probability of backtest overfitting
class Overfitting(NamedTuple):
    """What combinatorially symmetric cross-validation says of choosing by the Sharpe ratio."""

    probability: float  # that the best in sample is below the median out of sample
    loss: float  # that the best in sample loses out of sample
    slope: float  # of the winners' Sharpe ratios out of sample over those in sample
    intercept: float
    logits: NDArray[float64]  # (splits,) of the winners' relative ranks out of sample
    in_sample: NDArray[float64]  # (splits,), Sharpe ratios of one bar of the winners
    out_of_sample: NDArray[float64]
    winners: NDArray[int64]  # (splits,), which trial won

    def __repr__(self) -> str:
        return (
            f"<Overfitting: probability {self.probability:.3f}, of a loss {self.loss:.3f}, slope {self.slope:.3f}; "
            f"{len(self.logits):,} splits>"
        )


def probability_of_overfitting(blocks: Blocks, jobs: int = 1) -> Overfitting:
    """How often the best trial of one half of the blocks is no better than the middle in the other half.

    All splits into halves are tried, each once in either direction. Of trials that are equally good but for rounding
    the first one wins. A trial that never had a return cannot win, and
    ranks by its ratio of 0.

    Args:
        blocks: of all trials; an even number of them, from 2 to 20.
        jobs: threads.

    Raises:
        ValueError: for another number of blocks, and for blocks without two bars.

    >>> rng = np.random.default_rng(0)
    >>> noise = probability_of_overfitting(blocks_of_returns(rng.normal(0, 0.01, (1000, 50)), 8))
    >>> drift = np.linspace(-0.002, 0.002, 50)
    >>> skill = probability_of_overfitting(blocks_of_returns(rng.normal(drift, 0.01, (1000, 50)), 8))
    >>> noise.logits.size, noise.probability > 0.3, skill.probability < 0.1
    (70, True, True)
    """
    count = blocks.bars.size
    if count % 2 or not 2 <= count <= 20:
        raise ValueError(f"there must be an even number of blocks from 2 to 20; got {count}")
    if blocks.bars.min() < 2:
        raise ValueError(f"a block needs two bars at least; got {blocks.bars}")
    halves = np.array(list(itertools.combinations(range(count), count // 2)))
    splits = len(halves)
    chosen = np.zeros((count, splits))
    chosen[halves.T, np.arange(splits)] = 1.0
    sound = np.flatnonzero(np.isfinite(blocks.sums).all(axis=1))
    trades: NDArray[np.bool_] = np.logical_or.reduce(blocks.squares > 0, axis=1)
    grain = max(1, _CELLS // splits)

    def some(first: int, last: int) -> tuple[NDArray[int64], NDArray[float64]]:
        trials = sound[first:last]
        return trials, sharpe_ratios(Blocks(blocks.sums[trials], blocks.squares[trials], blocks.bars), chosen)

    found: dict[int, tuple[NDArray[int64], NDArray[float64], NDArray[float64]]] = {}

    def best(first: int, last: int) -> None:
        trials, ratios = some(first, last)
        ranked = np.where(np.isnan(ratios) | ~trades[trials, np.newaxis], -np.inf, ratios)
        places = (ranked >= _as_good_as(ranked.max(axis=0))).argmax(axis=0)
        across = np.arange(splits)
        # Halves are listed in such an order that the last is the other half of the first, and so on inwards.
        found[first] = trials[places], ranked[places, across], ratios[places, across[::-1]]

    share(best, sound.size, jobs, grain)
    winners, inside, outside = np.zeros(splits, int64), np.full(splits, -np.inf), np.full(splits, np.nan)
    for first in sorted(found):
        better = _as_good_as(found[first][1]) > inside
        for kept, new in zip((winners, inside, outside), found[first], strict=True):
            kept[better] = new[better]
    below, level = np.zeros(splits), np.zeros(splits)
    parts: dict[int, tuple[NDArray[float64], NDArray[float64]]] = {}

    def rank(first: int, last: int) -> None:
        _, ratios = some(first, last)
        other = ratios[:, ::-1]
        parts[first] = (other < outside).sum(axis=0), (other == outside).sum(axis=0)

    share(rank, sound.size, jobs, grain)
    for lower, same in parts.values():
        below += lower
        level += same
    told = np.isfinite(inside) & np.isfinite(outside)
    if sound.size < 2 or not told.any():
        nothing = np.empty(0)
        return Overfitting(math.nan, math.nan, math.nan, math.nan, nothing, nothing, nothing, np.empty(0, int64))
    rank_of = (below + (level + 1) / 2)[told] / (sound.size + 1)
    logits = np.log(rank_of / (1 - rank_of))
    inside, outside = inside[told], outside[told]
    apart = ((inside - inside.mean()) ** 2).sum()
    slope = float(((inside - inside.mean()) * outside).sum() / apart) if apart > 0 else math.nan
    return Overfitting(
        float((logits <= 0).mean()),
        float((outside < 0).mean()),
        slope,
        float(outside.mean() - slope * inside.mean()),
        logits,
        inside,
        outside,
        winners[told],
    )


def _as_good_as(best: NDArray[float64]) -> NDArray[float64]:
    """What is equal to the best but for rounding, at least."""
    return np.where(np.isfinite(best), best - 1e-9 * np.maximum(np.abs(best), 1e-3), best)
