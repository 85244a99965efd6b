"""The parameters of a grid's combinations as arrays, one a parameter."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy import int64
from numpy.typing import NDArray

from ..params import ROWS, AtcParams
from .combinations import Chosen, Product
from .component_ids import located
from .grid import ParamGrid

_AT_ONCE = 65_536  # AtcParams in memory at a time


class ParameterColumns:
    """The parameters that a grid sets, of all its combinations in grid order or of those at `positions`.

    Whole numbers are of the smallest signed type that holds them, other numbers float64; a text is its place among the
    parameter's choices. Of a product, and of some of its combinations, they are computed from its axes; other grids are
    gone through once.
    """

    def __init__(self, grid: ParamGrid, positions: NDArray[int64] | None = None) -> None:
        self.names = grid.combinations.names
        self._grid, self._positions = grid, positions
        self._axes: Mapping[str, tuple[Any, ...]] | None = None
        self._some: NDArray[int64] | None = None  # positions of all combinations, where these are not all of a product
        self._types: dict[str, type[np.generic]] = {}
        combinations = grid.combinations
        if isinstance(combinations, (Product, Chosen)) and (found := located(combinations)):
            product, places = found
            self._axes, self._positions = product.axes, _among(places, product.size, positions)
            if isinstance(combinations, Chosen):
                self._some = _among(places, product.size, None)

    def whole(self, name: str) -> NDArray[Any]:
        """One value for each combination."""
        if self._axes is None:
            return self._listed[name]
        values, inner = self._axis(self._axes, name)
        if self._positions is not None:
            return values[self._positions // inner % values.size]
        outer = math.prod(map(len, self._axes.values())) // (values.size * inner)
        return np.tile(np.repeat(values, inner), outer)

    def at(self, name: str, places: NDArray[int64]) -> NDArray[Any]:
        """The values at some of these places."""
        if self._axes is None:
            return self._listed[name][places]
        values, inner = self._axis(self._axes, name)
        positions = places if self._positions is None else self._positions[places]
        return values[positions // inner % values.size]

    def _axis(self, axes: Mapping[str, tuple[Any, ...]], name: str) -> tuple[NDArray[Any], int]:
        """The values of a product's axis, and how many combinations on each stays."""
        inner = math.prod(map(len, list(axes.values())[list(axes).index(name) + 1 :]))
        values = as_array(name, axes[name])
        if self._some is not None and ROWS[name].kind is int:
            if name not in self._types:
                present = np.unique(self._some // inner % values.size)
                self._types[name] = _smallest(values[present].tolist())
            values = values.astype(self._types[name])  # what is not there may not fit, and is not looked at
        return values, inner

    @cached_property
    def _listed(self) -> dict[str, NDArray[Any]]:
        if self._positions is None:
            return self._read(iter(self._grid))
        distinct, back = np.unique(self._positions, return_inverse=True)
        listed = self._read(at_positions(self._grid, distinct))
        return {name: values[back] for name, values in listed.items()}

    def _read(self, combinations: Iterator[AtcParams]) -> dict[str, NDArray[Any]]:
        parts: dict[str, list[NDArray[Any]]] = {name: [as_array(name, ())] for name in self.names}
        while some := list(itertools.islice(combinations, _AT_ONCE)):
            for name, arrays in parts.items():
                arrays.append(as_array(name, list(map(operator.attrgetter(name), some))))
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _among(places: range | NDArray[int64], size: int, positions: NDArray[int64] | None) -> NDArray[int64] | None:
    """Where combinations at `positions` of some of a product's stand in the product; None where all of it is meant."""
    if not isinstance(places, range):
        return places if positions is None else places[positions]
    if places == range(size):
        return positions
    ours = np.arange(len(places)) if positions is None else positions
    return places.start + places.step * ours


def at_positions(grid: ParamGrid, ascending: NDArray[int64]) -> Iterator[AtcParams]:
    """The combinations at some positions; grids that have to be gone through are gone through once."""
    if grid.combinations.exact:
        return map(grid.__getitem__, ascending.tolist())
    wanted = frozenset(ascending.tolist())
    first = itertools.islice(grid, max(wanted, default=-1) + 1)
    return (params for place, params in enumerate(first) if place in wanted)


def as_array(name: str, values: Sequence[Any]) -> NDArray[Any]:
    """Values of a parameter as an array, texts as places among its choices."""
    row = ROWS[name]
    if row.choices:
        return np.array([row.choices.index(value) for value in values], dtype=np.int8)
    if row.kind is not int:
        return np.array(values, dtype=row.kind)
    return np.array(values, dtype=_smallest(values))


def _smallest(values: Sequence[int]) -> type[np.generic]:
    least, most = min(values, default=0), max(values, default=0)
    for dtype in (np.int8, np.int16, np.int32, np.int64):
        if np.iinfo(dtype).min <= least and most <= np.iinfo(dtype).max:
            return dtype
    return np.float64


def texts(name: str, values: Iterable[Any]) -> list[str]:
    """Values of a parameter's column as they read."""
    choices = ROWS[name].choices
    return [choices[value] if choices else str(value) for value in np.asarray(values).tolist()]
