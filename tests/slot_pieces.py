"""Pieces of work for tests of what runs pieces: returns of some columns of a table of prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from atc_plugin.accel.engines import Engine

BARS = 64


def prices(columns: int, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, 0.02, (BARS, columns)).cumsum(axis=0))


def returns(close: np.ndarray) -> np.ndarray:
    """What a piece gives, as the CPU's law computes it."""
    given = np.zeros_like(close)
    given[:-1] = (close[1:] - close[:-1]) / close[:-1]
    return given


class Stretch(NamedTuple):
    """Columns from the first up to another; those of a single column, or of a whole one, cannot be divided."""

    first: int
    end: int
    is_whole: bool = False

    @property
    def nbytes(self) -> int:
        """Of the two arrays that a piece has on a device."""
        return 2 * BARS * (self.end - self.first) * 8

    def halves(self) -> list[Stretch]:
        middle = (self.first + self.end) // 2
        if self.is_whole or middle == self.first:
            return []
        return [Stretch(self.first, middle), Stretch(middle, self.end)]


def stretches(columns: int, of: int, is_whole: bool = False) -> list[Stretch]:
    return [Stretch(first, min(first + of, columns), is_whole) for first in range(0, columns, of)]


class Returns:
    """Begins pieces and notes which ones."""

    def __init__(self, close: np.ndarray) -> None:
        self.close = close
        self.begun: list[Stretch] = []

    def __call__(self, engine: Engine, piece: Stretch) -> Callable[[], np.ndarray]:
        self.begun.append(piece)
        there = engine.taken(np.ascontiguousarray(self.close[:, piece.first : piece.end]))
        return engine.bringing(returns_on(engine, there))


def returns_on(engine: Engine, close: Any) -> Any:
    bars, columns = close.shape
    given = engine.room((bars, columns), np.float64)
    engine.launch("returns_of", bars * columns, close=close, bars=bars, columns=columns, returns=given)
    return given
