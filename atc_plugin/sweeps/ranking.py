"""Which rows are best, and what symbols say together. The largest value of a metric is the best one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

REDUCTIONS: dict[str, Callable[..., Any]] = {"max": np.max, "min": np.min, "mean": np.mean, "median": np.median}


def countable(values: NDArray[float64], trades: NDArray[Any], min_trades: float) -> NDArray[np.bool_]:
    """Where a value is finite and stands on enough trades."""
    return np.isfinite(values) & (trades >= min_trades)


def best_rows(values: NDArray[float64], trades: NDArray[Any], k: int, min_trades: float = 1) -> NDArray[int64]:
    """The rows of the `k` largest values, best first; of equal ones the earlier row.

    Values that are not finite and rows with fewer than `min_trades` trades are skipped, so that fewer than `k` may
    come back. Time is linear in the rows.

    Args:
        values: (rows,), what is ranked.
        trades: (rows,), how many trades each row stands on.
        k: how many are wanted.
        min_trades: how many trades are enough.

    >>> best_rows(np.array([1.0, 3.0, np.inf, 3.0, 2.0]), np.array([5, 5, 0, 5, 5]), 3)
    array([1, 3, 4])
    """
    rows = np.flatnonzero(countable(values, trades, min_trades)).astype(int64, copy=False)
    if rows.size > k:
        candidates = values[rows]
        last = np.partition(candidates, rows.size - k)[rows.size - k] if k > 0 else np.inf
        better = rows[candidates > last]
        rows = np.concatenate([better, rows[candidates == last][: k - better.size]])
    return rows[np.lexsort((rows, -values[rows]))]


def over_symbols(
    values: NDArray[float64], trades: NDArray[Any], how: str, min_trades: float
) -> tuple[NDArray[float64], NDArray[np.bool_]]:
    """Each combination's value over all symbols, and which symbols took part.

    `values` and `trades` are (symbols, combinations). A combination that does not count in one symbol is NaN; a symbol
    in which none counts cannot tell them apart and takes no part.
    """
    counts = countable(values, trades, min_trades)
    part: NDArray[np.bool_] = np.logical_or.reduce(counts, axis=1)
    together: NDArray[float64] = np.full(values.shape[1], np.nan)
    if part.any():
        sound = counts[part].all(axis=0)
        together[sound] = REDUCTIONS[how](values[part][:, sound], axis=0)
    return together, part
