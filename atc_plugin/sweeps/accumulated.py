"""Accumulators of a block of combinations: as they are kept and sent, and the metrics made of them."""

from __future__ import annotations

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from ..law.metrics import (
    ACCUMULATORS,
    GROWTH,
    MAX_DRAWDOWN,
    METRICS,
    RETURNS,
    SPREAD,
    SUM,
    TOTAL_RETURN,
    TRADES,
    fill_metrics,
)
from ..threads import share
from .collecting import Scores
from .judge import Judged
from .question import OwnWindows, Question

WITHOUT_TRADES = (TOTAL_RETURN, GROWTH, RETURNS, SUM, SPREAD, MAX_DRAWDOWN, TRADES)
"""The accumulators that are always made; the others serve metrics of single trades."""

_GRAIN = 16_384


def nothing(combinations: int, windows: int) -> Judged:
    """What is judged on a column without bars."""
    accumulators = len(ACCUMULATORS)
    return Judged(np.zeros((combinations, accumulators)), np.zeros((combinations, windows, accumulators)), 0)


def packed(judged: Judged, trades: bool) -> NDArray[float64]:
    """What is kept and sent: (combinations, 1 + windows, accumulators), all bars first, and only what was made."""
    made = range(len(ACCUMULATORS)) if trades else WITHOUT_TRADES
    combinations, windows, _ = judged.windows.shape
    out = np.empty((combinations, 1 + windows, len(made)))
    for place, k in enumerate(made):
        out[:, 0, place] = judged.whole[:, k]
        out[:, 1:, place] = judged.windows[:, :, k]
    return out


def unpacked(kept: NDArray[float64]) -> Judged:
    """What `packed` packed; what was not made is 0, as the kernels leave it."""
    made = range(len(ACCUMULATORS)) if kept.shape[2] == len(ACCUMULATORS) else WITHOUT_TRADES
    full = np.zeros((*kept.shape[:2], len(ACCUMULATORS)))
    full[:, :, list(made)] = kept
    return Judged(np.ascontiguousarray(full[:, 0]), full[:, 1:], 0)


def write_scores(
    judged: Judged, bars: int, windows: OwnWindows | None, question: Question, jobs: int, scores: Scores, at: int
) -> None:
    """Write the metrics asked for into the rows of `scores` from `at` on.

    A window without a bar of the column has none, nor has a column without bars.
    """
    wanted = np.array([METRICS.index(name) for name in question.metrics], int64)
    count = len(judged.whole)
    rows = slice(at, at + count)
    if not bars:
        scores.metrics[:, rows], scores.windows[:, rows], scores.trades[rows] = np.nan, np.nan, 0
        return
    counts = [] if windows is None else (windows[1] - windows[0]).tolist()
    scale = question.bars_per_year

    def work(first: int, last: int) -> None:
        ours = slice(at + first, at + last)
        fill_metrics(judged.whole, bars, scale, wanted, first, last, scores.metrics, at)  # type: ignore[no-untyped-call]
        trades = judged.whole[first:last, TRADES]
        scores.trades[ours] = np.where(np.isnan(trades), 0.0, trades)  # NaN where vectorbt raises
        for k, own_bars in enumerate(counts):
            out = np.full((len(wanted), last - first), np.nan)
            if own_bars:
                window = np.ascontiguousarray(judged.windows[first:last, k])
                fill_metrics(window, own_bars, scale, wanted, 0, last - first, out, 0)  # type: ignore[no-untyped-call]
            scores.windows[:, ours, k] = out

    share(work, count, jobs, _GRAIN)
