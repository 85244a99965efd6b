"""Where the metrics of many windows go: of each symbol and window the best combination, in constant memory."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numpy import float64, int32, int64
from numpy.typing import NDArray

from .collecting import Scores
from .question import Question
from .ranking import countable

_EQUAL = 1e-9
"""What two values may differ by, next to the larger one or to 1, and be equal: rounding does not choose."""


class Winners:
    """The best combination of each column in every window; of equal ones the earlier in the grid.

    The first metric of the question ranks them, and its "total_trades" say whether there are enough.
    """

    def __init__(self, question: Question, columns: int, min_trades: float) -> None:
        self._question, self._min_trades = question, min_trades
        self._trades = question.metrics.index("total_trades")
        self._shape = columns, len(question.windows)
        self._found: dict[tuple[int, int], Candidates] = {}
        self._lock = threading.Lock()

    def room(self, column: int, first: int, count: int) -> tuple[Scores, int]:
        """Where the metrics of a block are to be written, and from which row on; those of a window side by side."""
        metrics, windows = len(self._question.metrics), len(self._question.windows)
        room = np.empty((metrics, windows, count)).transpose(0, 2, 1)
        return Scores(np.empty((metrics, count)), np.empty(count, int32), room), 0

    def few(self, scores: Scores) -> None:
        """What is kept of a block serves other questions too, so all of it is."""

    def add(self, column: int, first: int, scores: Scores, offsets: NDArray[int64] | None) -> None:
        """Take the combinations of a column from `first` on."""
        values, trades = scores.windows[0], scores.windows[self._trades]
        for window in range(values.shape[1]):
            counts = countable(values[:, window], trades[:, window], self._min_trades)
            counts &= values[:, window] >= _least(values[:, window].max(where=counts, initial=-np.inf))
            rows = np.flatnonzero(counts)
            if rows.size:
                found = candidates(rows + first, values[rows, window])
                with self._lock:
                    known = self._found.get((column, window), found)
                    self._found[column, window] = candidates(
                        np.concatenate([known.positions, found.positions]),
                        np.concatenate([known.values, found.values]),
                    )

    @property
    def positions(self) -> NDArray[int64]:
        """The winners' places in the grid, (columns, windows); -1 where none counts."""
        made: NDArray[int64] = np.full(self._shape, -1)
        for place, found in self._found.items():
            made[place] = found.positions[0]
        return made


class Candidates(NamedTuple):
    """Combinations that are as good as the best, those left out that are no better than an earlier one."""

    positions: NDArray[int64]  # ascending
    values: NDArray[float64]  # ascending


def candidates(positions: NDArray[int64], values: NDArray[float64]) -> Candidates:
    """Of some combinations, one at least, in any order."""
    good = np.flatnonzero(values >= _least(float(values.max())))
    good = good[np.argsort(positions[good], kind="stable")]
    better = np.ones(good.size, np.bool_)
    better[1:] = values[good][1:] > np.maximum.accumulate(values[good])[:-1]
    return Candidates(positions[good][better], values[good][better])


def _least(best: float) -> float:
    """What is as good as the best, but for rounding."""
    return best - _EQUAL * max(1.0, abs(best)) if np.isfinite(best) else best
