"""What lies around a combination: whether it stands on a plateau or is a spike."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import float64, int64
from numpy.typing import NDArray

from .columns import ParameterColumns
from .grid import ParamGrid


class Neighbourhood(NamedTuple):
    """The combinations one step away, up and down each parameter that the grid varies."""

    neighbours: NDArray[int64]  # their positions in the grid
    stability: float  # 0 to 1; NaN without neighbours


class Neighbours:
    """Finds the combinations of a grid that are one step away from one of them.

    A step changes one parameter alone, to the next larger or smaller value that the grid has with all others the same;
    texts and flags go by their places among all there are.
    """

    def __init__(self, grid: ParamGrid) -> None:
        columns = ParameterColumns(grid)
        values: dict[str, NDArray[Any]] = {name: columns.whole(name) for name in columns.names}
        self._values = [value for value in values.values() if value.size and value.min() != value.max()]

    def of(self, position: int) -> NDArray[int64]:
        """Positions of the neighbours of a combination, ascending."""
        if not self._values:
            return np.empty(0, int64)
        differing = np.zeros(self._values[0].size, np.int8)
        for values in self._values:
            differing += values != values[position]
        nearly = np.flatnonzero(differing == 1)
        found: list[int] = []
        for values in self._values:
            others, here = values[nearly], values[position]
            for side in (others > here, others < here):
                if side.any():
                    beyond = nearly[side]
                    far = np.abs(values[beyond].astype(float64) - float(here))
                    found.append(int(beyond[far.argmin()]))
        return np.array(sorted(found), dtype=int64)


def stability_of(value: float, around: NDArray[float64], middle: float) -> float:
    """How much of what a combination has over the middle of the grid its neighbours have too, on average.

    1 where all of them are as good: a plateau. 0 where none is better than the middle: a spike. Each neighbour counts
    from 0 to 1, one without a value 0.

    Args:
        value: of the combination.
        around: of its neighbours.
        middle: the median over the grid.

    >>> stability_of(3.0, np.array([3.0, 2.0, 1.0, -5.0]), middle=1.0)
    0.375
    """
    if not around.size or not np.isfinite(value) or not np.isfinite(middle):
        return float("nan")
    height = value - middle
    if height <= 0:  # it stands out from nothing
        return 1.0
    shares = np.clip((around - middle) / height, 0.0, 1.0)
    return float(np.where(np.isfinite(around), shares, 0.0).mean())
