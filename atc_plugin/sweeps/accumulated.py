"""Accumulators of a block of combinations: as they are kept and sent, and the metrics made of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import float64
from numpy.typing import NDArray

from ..law.metrics import (
    ACCUMULATORS,
    GROWTH,
    MAX_DRAWDOWN,
    RETURNS,
    SPREAD,
    SUM,
    TOTAL_RETURN,
    TRADES,
    metrics_of,
)
from ..threads import share
from .collecting import Scores
from .question import OwnWindows, Question

WITHOUT_TRADES = (TOTAL_RETURN, GROWTH, RETURNS, SUM, SPREAD, MAX_DRAWDOWN, TRADES)
"""The accumulators that are always made; the others serve metrics of single trades."""

_GRAIN = 16_384


class Judged(NamedTuple):
    """Accumulators of combinations, in the order of ACCUMULATORS, over all bars and over each window."""

    whole: NDArray[float64]  # (combinations, 12)
    windows: NDArray[float64]  # (combinations, windows, 12)
    plainly: int  # how many the plain way had to judge


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
    count = len(judged.whole)
    rows = slice(at, at + count)
    if not bars:
        scores.metrics[:, rows], scores.windows[:, rows], scores.trades[rows] = np.nan, np.nan, 0
        return
    counts = [] if windows is None else (windows[1] - windows[0]).tolist()
    scale = question.bars_per_year

    def work(first: int, last: int) -> None:
        ours = slice(at + first, at + last)
        made = metrics_of(judged.whole[first:last], bars, scale, question.metrics)
        for row, values in zip(scores.metrics, made.values(), strict=True):
            row[ours] = values
        trades = judged.whole[first:last, TRADES]
        scores.trades[ours] = np.where(np.isnan(trades), 0.0, trades)  # NaN where vectorbt raises
        for k, own_bars in enumerate(counts):
            if not own_bars:
                scores.windows[:, ours, k] = np.nan
                continue
            made = metrics_of(judged.windows[first:last, k], own_bars, scale, question.metrics)
            for row, values in zip(scores.windows, made.values(), strict=True):
                row[ours, k] = values

    share(work, count, jobs, _GRAIN)
