"""What a device computes at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

_FEW = 4096
"""Combinations that take little memory beside their columns."""


class Piece(NamedTuple):
    """Combinations `first` to `last - 1` of some columns."""

    columns: tuple[int, ...]
    first: int
    last: int

    def halves(self) -> list[Piece]:
        """Half of the combinations each; where they are few, half of the columns; nothing where there is but one.

        Pieces of the same columns share what is made of these.
        """
        cut, middle = (self.first + self.last) // 2, len(self.columns) // 2
        if middle and self.last - self.first <= _FEW:
            return [self._replace(columns=self.columns[:middle]), self._replace(columns=self.columns[middle:])]
        return [self._replace(last=cut), self._replace(first=cut)] if self.first < cut else []


def pieces_of(missing: Iterable[tuple[int, list[tuple[int, int]]]], columns: int, combinations: int) -> Iterator[Piece]:
    """All blocks that are missing, in order, up to so many columns and combinations at a time.

    Columns that lack the same blocks go together, as they come one after the other; so do blocks that follow each
    other.
    """
    together: list[int] = []
    lacking: list[tuple[int, int]] = []
    for column, todo in missing:
        if together and (len(together) == columns or todo != lacking):
            yield from _cut(tuple(together), lacking, combinations)
            together = []
        together.append(column)
        lacking = todo
    if together:
        yield from _cut(tuple(together), lacking, combinations)


def _cut(columns: tuple[int, ...], blocks: list[tuple[int, int]], combinations: int) -> Iterator[Piece]:
    first, end = blocks[0]
    for start, stop in [*blocks[1:], (-1, -1)]:
        if start != end:
            cuts = [*range(first, end, combinations), end]
            yield from (Piece(columns, *pair) for pair in pairwise(cuts))
            first = start
        end = stop
