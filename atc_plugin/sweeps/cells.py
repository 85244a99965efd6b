"""Values over two parameters, everything else reduced: what heat maps and surfaces show."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .rows import Rows


class Shown(NamedTuple):
    """The rows that a plot is made of."""

    metric: str
    values: NDArray[float64]  # (n,) of the metric
    counts: NDArray[np.bool_]  # (n,) where a value is finite and stands on enough trades; once at least
    numbers: NDArray[int64]  # (n,) which rows these are, ascending
    rows: Rows
    symbols: tuple[Any, ...]

    def parameter(self, name: str) -> NDArray[Any]:
        """A parameter of these rows, (n,)."""
        if self.numbers.size == len(self.rows):
            return self.rows.parameter(name)
        return self.rows.parameter(name, self.numbers)

    def varied(self) -> list[str]:
        """The parameters that have more than one value in these rows."""
        columns = ((name, self.parameter(name)) for name in self.rows.names)
        return [name for name, values in columns if values.min() != values.max()]


class Cells(NamedTuple):
    """A table over two parameters."""

    x: NDArray[Any]  # (nx,) values of one, ascending
    y: NDArray[Any]  # (ny,) of the other
    table: NDArray[float64]  # (ny, nx), NaN where nothing is
    rows: NDArray[int64] | None  # (ny, nx), the first row that has this value, -1 where nothing is; of max and min

    @property
    def best(self) -> tuple[int, int]:
        """Where the largest value is, (y, x); there must be one."""
        row, column = divmod(int(np.nanargmax(self.table)), self.x.size)
        return row, column


def cells_of(shown: Shown, x: str, y: str, how: str) -> Cells:
    """Reduce what counts by the pair of parameters `x` and `y`; `how` is one of REDUCTIONS."""
    xs, column = np.unique(shown.parameter(x), return_inverse=True)
    ys, line = np.unique(shown.parameter(y), return_inverse=True)
    cell = (line * xs.size + column)[shown.counts]
    values, size, shape = shown.values[shown.counts], ys.size * xs.size, (ys.size, xs.size)
    filled = np.bincount(cell, minlength=size)
    found = None
    if how in ("max", "min"):
        reduced = np.full(size, -np.inf if how == "max" else np.inf)
        (np.maximum if how == "max" else np.minimum).at(reduced, cell, values)
        hits = np.flatnonzero(values == reduced[cell])[::-1]  # backwards: the first of them is the last to be written
        found = np.full(size, -1)
        found[cell[hits]] = shown.numbers[shown.counts][hits]
    elif how == "mean":
        reduced = np.bincount(cell, values, size) / np.maximum(filled, 1)
    else:
        reduced = _medians(cell, values, filled)
    reduced[filled == 0] = np.nan
    return Cells(xs, ys, reduced.reshape(shape), None if found is None else found.reshape(shape))


def _medians(cell: NDArray[Any], values: NDArray[float64], filled: NDArray[Any]) -> NDArray[float64]:
    reduced = np.full(filled.size, np.nan)
    ordered = values[np.lexsort((values, cell))]
    some = np.flatnonzero(filled)
    first, count = (np.cumsum(filled) - filled)[some], filled[some]
    reduced[some] = (ordered[first + (count - 1) // 2] + ordered[first + count // 2]) / 2
    return reduced
