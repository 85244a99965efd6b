"""The last step of the law on whole arrays: six components' votes become an average, and its crosses a direction.

In numpy, so that what is kept of components can be put together without compiling anything; the bits of the kernels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import float64, int8
from numpy.typing import NDArray

_OVERFLOW = 600.0  # equities whose logarithm stays below this are finite, and so are their sums


def average_of_components(hundredths: NDArray[int8], weights: NDArray[float64]) -> NDArray[float64]:
    """(sum vote*E) / (sum E) of six components, (6, n) each: layer-1 signals in hundredths and layer-2 equities."""
    num, den = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    with np.errstate(all="ignore"):
        for signal, equity in zip(hundredths, weights, strict=True):
            vote = (signal > 49).astype(float64) - (signal < -49)
            num += vote * equity
            den += equity
        return num / den


def direction_of_average(average: NDArray[float64], long_threshold: float, short_threshold: float) -> NDArray[int8]:
    """0 until the first cross; +1 where the average crosses over the one threshold, -1 where under the other."""
    defined = np.flatnonzero(~np.isnan(average))
    levels = average[defined]
    turned = np.zeros(average.size, int8)
    if levels.size > 1:
        up = (levels[1:] > long_threshold) & (levels[:-1] <= long_threshold)
        down = (levels[1:] < short_threshold) & (levels[:-1] >= short_threshold)
        turned[defined[1:][up]] = 1
        turned[defined[1:][down]] = -1  # a bar cannot do both: short_threshold is not above long_threshold
    last = np.where(turned != 0, np.arange(average.size), 0)
    np.maximum.accumulate(last, out=last)
    return turned[last]


def is_tame(close: NDArray[float64], rates: Sequence[float], heaviest: float) -> bool:
    """Whether no equity can overflow: none gains more in a bar than the move times the largest growth.

    Args:
        close: the bars of a column.
        rates: `lambda_` of the regimes.
        heaviest: the largest starting weight.
    """
    if close.size < 2:
        return True
    with np.errstate(all="ignore"):
        moves = np.abs(np.diff(close) / close[:-1])
        growth = np.exp(max(rates) / 1000 * (close.size - 1))  # nearly the table's
        return bool(np.log1p(moves * growth).sum() + np.log(max(heaviest, 1.0)) < _OVERFLOW)
