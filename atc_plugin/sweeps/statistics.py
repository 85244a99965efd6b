"""Where blocks of returns go: sums and squares of every combination of one symbol, out of one pass over the grid."""

from __future__ import annotations

import numpy as np
from numpy import float64, int32, int64
from numpy.typing import NDArray

from ..law.metrics import SPREAD, SUM, TRADES
from .accumulated import Judged
from .collecting import Scores
from .question import OwnWindows, Question


class Statistics:
    """Sums of returns and of their squares over each window, of all combinations of one column."""

    def __init__(self, question: Question, combinations: int) -> None:
        windows = len(question.windows)
        room = np.empty((2, combinations, windows))
        self._scores = Scores(np.empty((0, combinations)), np.empty(combinations, int32), room)

    @property
    def sums(self) -> NDArray[float64]:
        """Of returns, (combinations, windows)."""
        sums: NDArray[float64] = self._scores.windows[0]
        return sums

    @property
    def squares(self) -> NDArray[float64]:
        """Of their squares."""
        squares: NDArray[float64] = self._scores.windows[1]
        return squares

    @property
    def trades(self) -> NDArray[int32]:
        """How many each combination has."""
        return self._scores.trades

    def room(self, column: int, first: int, count: int) -> tuple[Scores, int]:
        """Where the statistics of combinations from `first` on are to be written, and from which row on."""
        return self._scores, first

    def few(self, scores: Scores) -> None:
        """All of them matter."""

    def add(self, column: int, first: int, scores: Scores, offsets: NDArray[int64] | None) -> None:
        """They are where they belong."""


def write_statistics(
    judged: Judged, bars: int, windows: OwnWindows | None, question: Question, jobs: int, scores: Scores, at: int
) -> None:
    """Write the sums and squares into the rows of `scores` from `at` on, as `write_scores` writes metrics."""
    rows = slice(at, at + len(judged.whole))
    if windows is None or not bars:
        scores.windows[:, rows], scores.trades[rows] = np.nan, 0
        return
    trades = judged.whole[:, TRADES]
    scores.trades[rows] = np.where(np.isnan(trades), 0.0, trades)
    sums, spreads = judged.windows[:, :, SUM], judged.windows[:, :, SPREAD]
    scores.windows[0, rows] = sums
    counts = np.maximum(windows[1] - windows[0], 1)
    scores.windows[1, rows] = spreads + sums * sums / counts
