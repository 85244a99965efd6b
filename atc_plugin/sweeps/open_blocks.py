"""Blocks put together of parts, which come in any order from whoever computes them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from .accumulated import Judged


class OpenBlocks:
    """Blocks of which some parts are there and others are not.

    Args:
        size: combinations of a block.
        end: combinations in all, where the last block ends.
    """

    def __init__(self, size: int, end: int) -> None:
        self._size, self._end = size, end
        self._parts: dict[tuple[int, int], dict[int, Judged]] = {}
        self._since = time.perf_counter()

    def add(self, column: int, first: int, judged: Judged) -> Iterator[tuple[int, Judged]]:
        """Take a column's combinations from `first` on; gives the blocks that are whole now, with where they begin."""
        at, last = first, first + len(judged.whole)
        while at < last:
            start = at // self._size * self._size
            stop = min(start + self._size, self._end)
            ours = slice(at - first, min(stop, last) - first)
            part = Judged(judged.whole[ours], judged.windows[ours], judged.plainly if at == first else 0)
            parts = self._parts.setdefault((column, start), {})
            parts[at] = part
            if sum(len(one.whole) for one in parts.values()) == stop - start:
                yield start, _joined(self._parts.pop((column, start)))
            at = stop

    def seconds(self) -> float:
        """Since this was last asked: what the blocks took that have come in between."""
        now = time.perf_counter()
        since, self._since = self._since, now
        return now - since


def _joined(parts: dict[int, Judged]) -> Judged:
    if len(parts) == 1:
        return next(iter(parts.values()))
    ordered = [part for _, part in sorted(parts.items())]
    return Judged(
        np.concatenate([one.whole for one in ordered]),
        np.concatenate([one.windows for one in ordered]),
        sum(one.plainly for one in ordered),
    )
