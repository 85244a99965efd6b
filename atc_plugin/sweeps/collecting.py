"""Where metrics go as blocks come in: all of them, or the best of each symbol in constant memory."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy import float64, int32, int64
from numpy.typing import NDArray

from .question import Question
from .ranking import best_rows


class Scores(NamedTuple):
    """Metrics of some combinations of one column."""

    metrics: NDArray[float64]  # (metrics, combinations)
    trades: NDArray[int32]
    windows: NDArray[float64]  # (metrics, combinations, windows)

    def of(self, places: NDArray[int64]) -> Scores:
        """Those of some of the combinations."""
        return Scores(self.metrics[:, places], self.trades[places], self.windows[:, places])


class Sink(Protocol):
    """What takes the metrics of blocks, in any order and from any thread."""

    def room(self, column: int, first: int, count: int) -> tuple[Scores, int]:
        """Where the metrics of combinations from `first` on are to be written, and from which row on."""

    def few(self, scores: Scores) -> NDArray[int64] | None:
        """Those of a block that matter, in grid order; None for all."""

    def add(self, column: int, first: int, scores: Scores, offsets: NDArray[int64] | None) -> None:
        """Take combinations of a column, those so far behind `first`, or all from there on."""


def room_for(question: Question, rows: int) -> Scores:
    """Room for the metrics of so many rows."""
    metrics, windows = len(question.metrics), len(question.windows)
    return Scores(np.empty((metrics, rows)), np.empty(rows, int32), np.empty((metrics, rows, windows)))


class Everything:
    """Every combination of every column, in its place."""

    def __init__(self, question: Question, columns: int, combinations: int) -> None:
        self._each = combinations
        self.scores = room_for(question, columns * combinations)
        self.columns: NDArray[int32] | None = None
        self.positions: NDArray[int64] | None = None

    def room(self, column: int, first: int, count: int) -> tuple[Scores, int]:
        """Where the metrics of combinations from `first` on are to be written, and from which row on."""
        return self.scores, column * self._each + first

    def few(self, scores: Scores) -> None:
        """All of them matter."""

    def add(self, column: int, first: int, scores: Scores, offsets: NDArray[int64] | None) -> None:
        """They are where they belong."""

    def finish(self) -> None:
        """All is there."""


class Best:
    """The best combinations of each column, best first; of equal ones the earlier in the grid."""

    def __init__(self, question: Question, columns: int) -> None:
        assert question.top is not None
        self._question = question
        self._ranked, self._keep = question.metrics.index(question.top.metric), question.top.keep
        self._kept = [(np.empty(0, int64), room_for(question, 0))] * columns

    def room(self, column: int, first: int, count: int) -> tuple[Scores, int]:
        """Where the metrics of a block are to be written, and from which row on."""
        return room_for(self._question, count), 0

    def few(self, scores: Scores) -> NDArray[int64]:
        """Those of a block that may be among the best, in grid order."""
        return np.sort(best_rows(scores.metrics[self._ranked], scores.trades, self._keep))

    def add(self, column: int, first: int, scores: Scores, offsets: NDArray[int64] | None) -> None:
        """Take combinations of a column, those so far behind `first`."""
        assert offsets is not None
        positions, kept = self._kept[column]
        positions = np.concatenate([positions, offsets + first])
        merged = Scores(
            np.concatenate([kept.metrics, scores.metrics], axis=1),
            np.concatenate([kept.trades, scores.trades]),
            np.concatenate([kept.windows, scores.windows], axis=1),
        )
        in_order = np.argsort(positions)  # blocks of a cluster come in any order
        best = in_order[best_rows(merged.metrics[self._ranked, in_order], merged.trades[in_order], self._keep)]
        self._kept[column] = positions[best], merged.of(best)

    def finish(self) -> None:
        """All is there."""
        self.columns = np.repeat(np.arange(len(self._kept), dtype=int32), [len(at) for at, _ in self._kept])
        self.positions = np.concatenate([at for at, _ in self._kept])
        parts = [scores for _, scores in self._kept]
        self.scores = Scores(
            np.concatenate([scores.metrics for scores in parts], axis=1),
            np.concatenate([scores.trades for scores in parts]),
            np.concatenate([scores.windows for scores in parts], axis=1),
        )
