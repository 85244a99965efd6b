"""Which components each combination of a grid is made of: arithmetic where it is a product, so that none is listed."""

from __future__ import annotations

import itertools
import math
import operator
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..params import LENGTH_NAMES, TYPES, AtcParams
from .axes import Axes
from .combinations import Chosen, Combinations, Kept, Points, Product

Ids = NDArray[np.int32]  # (combinations, 7): six components and the levels
Positions = range | NDArray[np.int64]
Choice = dict[str, Any]  # the values that one component, or one entry of the levels, depends on; defaults left out

LEVELS = len(TYPES)  # the part of a combination that comes after its components

_REGIME = ("lambda_", "decay", "cutout", "robustness")
_MATTERS = [{LENGTH_NAMES[type_], f"{type_.lower()}_w", *_REGIME} for type_ in TYPES]
_MATTERS[TYPES.index("HMA")].add("hma_mode")
_MATTERS.append({"long_threshold", "short_threshold", "strategy_mode"})

_TAIL = 512  # combinations of the fastest axes that are added up in one go: enough for vector instructions
_CHUNK = 65_536
_DENSE = 64  # combinations that are walked past sooner than one is searched for
_MOST_COMPONENTS = 2**22
_MOST_NUMBERS = 2**24  # that a table may translate
_MOST_ROWS = 2**24
_MOST_WALKED = 2**22  # positions that are looked at to see what they need


class ProductIds:
    """The ids of combinations of a product, found by arithmetic from their positions.

    A component's number is its place among all of the product: part by part, in grid order within a part. Where only
    some of them are needed, a table translates numbers to ids.
    """

    def __init__(self, product: Product, positions: Positions, size: int) -> None:
        self.positions, self.size = positions, size
        self.axes = {name: values for name, values in product.axes.items() if len(values) > 1}
        self.fixed = {name: values[0] for name, values in product.axes.items() if len(values) == 1}
        self.lengths = tuple(map(len, self.axes.values()))
        self.involved = [[axis for axis, name in enumerate(self.axes) if name in part] for part in _MATTERS]
        self.shapes = [tuple(self.lengths[axis] for axis in axes) for axes in self.involved]
        self.strides = [
            {axis: math.prod(shape[place + 1 :]) for place, axis in enumerate(axes)}
            for axes, shape in zip(self.involved, self.shapes, strict=True)
        ]
        self.bases = [0, *itertools.accumulate(map(math.prod, self.shapes))]
        self.table: NDArray[np.int32] | None = None
        self.slow = len(self.lengths)  # so many slow axes, then a tail of fast ones, added up once and for all
        while self.slow and math.prod(self.lengths[self.slow :]) < _TAIL:
            self.slow -= 1
        self.tail_size = math.prod(self.lengths[self.slow :])
        self.tail = self._added_up(0, np.arange(self.tail_size), self.slow, len(self.lengths))

    def arrange(self) -> list[Iterable[Choice]]:
        """Settle which components are needed; returns what each depends on, part by part, in order of their ids."""
        flags = self._needed()
        needed = [np.flatnonzero(part) for part in flags]
        _require_few(sum(found.size for found in needed[:LEVELS]))
        if not all(part.all() for part in flags):
            self.table = np.full(self.bases[-1], -1, np.int32)
            first = 0
            for part, found in enumerate(needed):
                first = 0 if part == LEVELS else first
                self.table[self.bases[part] + found] = np.arange(first, first + found.size)
                first += found.size
        return [self._choices(part, found) for part, found in enumerate(needed)]

    def ids(self, first: int, last: int) -> Ids:
        """The ids of the combinations from `first` to before `last`."""
        numbers = self._numbers(self.positions[first:last])
        if self.table is not None:
            return self.table.take(numbers)
        numbers[:, LEVELS] -= self.bases[LEVELS]
        return numbers

    def _added_up(self, start: int, places: NDArray[np.int64], low: int, high: int) -> NDArray[np.int32]:
        """(parts, places): what the axes from `low` to before `high` add to the numbers, at places after `start`."""
        numbers = np.zeros((len(_MATTERS), places.size), np.int32)
        for axis in reversed(range(low, high)):
            start, digit = divmod(start, self.lengths[axis])  # may be longer than 64 bits
            places, digits = np.divmod(places + digit, self.lengths[axis])
            for part, strides in enumerate(self.strides):
                if axis in strides:
                    numbers[part] += strides[axis] * digits
        return numbers

    def _numbers(self, positions: Positions) -> Ids:
        numbers = np.empty((len(positions), len(_MATTERS)), np.int32)
        if not len(positions):
            return numbers
        if isinstance(positions, range) and positions.step == 1:
            head, skipped = divmod(positions.start, self.tail_size)
            heads = np.arange((positions.stop - 1) // self.tail_size - head + 1)
            slow = self._added_up(head, heads, 0, self.slow) + np.array(self.bases[:-1], np.int32)[:, np.newaxis]
            for part, tail in enumerate(self.tail):
                sums = slow[part][:, np.newaxis] + tail
                numbers[:, part] = sums.ravel()[skipped : skipped + len(positions)]
            return numbers
        if isinstance(positions, range):
            positions = np.arange(positions.start, positions.stop, positions.step)
        places, rests = np.divmod(positions, self.tail_size)
        slow = self._added_up(0, places, 0, self.slow)
        for part, tail in enumerate(self.tail):
            numbers[:, part] = slow[part] + tail.take(rests) + self.bases[part]
        return numbers

    def _needed(self) -> list[NDArray[np.bool_]]:
        """For each part, whether a combination needs the numbers; too many, where a wide step skips some."""
        positions = self.positions
        if isinstance(positions, range) and (abs(positions.step) == 1 or self.size > _MOST_WALKED):
            ends = sorted((positions[0], positions[-1]))
            flags = [np.zeros(shape, np.bool_) for shape in self.shapes]
            for box in _boxes(self.lengths, *ends):
                for part, axes in zip(flags, self.involved, strict=True):
                    part[tuple(box[axis] for axis in axes)] = True
            return flags
        needed = np.zeros(self.bases[-1], np.bool_)
        for first in range(0, self.size, _CHUNK):
            needed[self._numbers(positions[first : first + _CHUNK])] = True
        return np.split(needed, self.bases[1:-1])

    def _choices(self, part: int, found: NDArray[np.int64]) -> Iterator[Choice]:
        names = [name for name in self.axes if name in _MATTERS[part]]
        places = np.unravel_index(found, self.shapes[part]) if names else ()
        columns = [[self.axes[name][i] for i in digits.tolist()] for name, digits in zip(names, places, strict=True)]
        rows = zip(*columns, strict=True) if names else iter([()])
        return ({**self.fixed, **dict(zip(names, row, strict=True))} for row in rows)


class RowIds:
    """The ids of combinations one by one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = np.empty((size, len(_MATTERS)), np.int32)

    def arrange(self, values: Axes, digits: dict[str, NDArray[Any]]) -> list[Iterable[Choice]]:
        """Settle which components are needed, from the values of each parameter and which of them combinations take."""
        chosen: list[tuple[list[str], NDArray[np.int64]]] = []
        first = 0
        for part, matters in enumerate(_MATTERS):
            names = [name for name in values if name in matters]
            firsts, ids = _distinct([(digits[name], len(values[name])) for name in names], self.size)
            first = 0 if part == LEVELS else first
            self.rows[:, part] = ids + first
            first += firsts.size
            chosen.append((names, firsts))
            _require_few(first)
        return [
            [{name: values[name][digits[name][row]] for name in names} for row in firsts.tolist()]
            for names, firsts in chosen
        ]

    def ids(self, first: int, last: int) -> Ids:
        """The ids of the combinations from `first` to before `last`."""
        return self.rows[first:last].copy()


class Identified(NamedTuple):
    """The ids of a grid's combinations, and what they stand for: one list a part, counted on through the components."""

    ids: ProductIds | RowIds
    choices: list[Iterable[Choice]]
    varied: tuple[str, ...]


def identified(combinations: Combinations) -> Identified:
    """Number the components and levels of a grid's combinations."""
    found = located(combinations)
    if found is None:
        return _walked(combinations)
    product, positions = found
    size = combinations.size if isinstance(positions, range) else positions.size
    _require_some(size)
    varied = tuple(name for name, values in product.axes.items() if len(values) > 1)
    numbers = [math.prod(len(product.values(name)) for name in part) for part in _MATTERS]
    if sum(numbers) <= min(_MOST_NUMBERS, 8 * max(size, _CHUNK)):
        by_position = ProductIds(product, positions, size)
        return Identified(by_position, by_position.arrange(), varied)
    if size > _MOST_ROWS:
        _require_few(max(sum(numbers[:LEVELS]), numbers[LEVELS]))
    if product.size >= 2**63:
        return _walked(combinations)
    places = np.array(positions, np.int64)
    digits = {}
    for name, values in reversed(product.axes.items()):
        places, digits[name] = np.divmod(places, len(values))
    rows = RowIds(size)
    return Identified(rows, rows.arrange(product.axes, digits), varied)


def located(combinations: Combinations) -> tuple[Product, Positions] | None:
    """A product and the positions in it, where combinations are some of a product's."""
    if isinstance(combinations, Product):
        return combinations, range(combinations.size)
    if isinstance(combinations, Kept):
        kept = (position for position, params in enumerate(combinations.product) if combinations.keeps(params))
        return combinations.product, np.array(array("q", kept), np.int64)
    found = located(combinations.source) if isinstance(combinations, Chosen) else None
    if not isinstance(combinations, Chosen) or found is None:
        return None
    (product, source), chosen = found, combinations.positions
    if isinstance(source, range) and isinstance(chosen, range):
        start, stop = (source.start + source.step * end for end in (chosen.start, chosen.stop))
        composed = range(start, stop, source.step * chosen.step)
        return (product, composed) if product.size < 2**63 or composed.step == 1 else None
    if product.size >= 2**63:
        return None
    places = np.array(chosen, np.int64)
    return product, source.start + source.step * places if isinstance(source, range) else source[places]


def _walked(combinations: Combinations) -> Identified:
    """Ids of combinations that have to be gone through."""
    names = combinations.names
    seen: list[dict[Any, int]] = [{} for _ in names]
    columns = [array("q") for _ in names]
    size = 0
    if isinstance(combinations, Points):
        rows: Iterator[tuple[Any, ...]] = iter(combinations.rows)
    else:
        take = [operator.itemgetter(name) for name in names]
        rows = (tuple(get(params.__dict__) for get in take) for params in _in_order(combinations))
    while chunk := list(itertools.islice(rows, _CHUNK)):
        size += len(chunk)
        for places, column, values in zip(seen, columns, zip(*chunk, strict=True), strict=True):
            column.extend([places.setdefault(value, len(places)) for value in values])
    _require_some(size)
    listed = {name: tuple(places) for name, places in zip(names, seen, strict=True)}
    digits = {name: np.array(column, np.int64) for name, column in zip(names, columns, strict=True)}
    found = RowIds(size)
    varied = tuple(name for name in names if len(listed[name]) > 1)
    return Identified(found, found.arrange(listed, digits), varied)


def _in_order(combinations: Combinations) -> Iterable[AtcParams]:
    """All combinations; a choice of others in one pass over these, unless it takes but few of them."""
    if isinstance(combinations, Chosen) and not isinstance(combinations.source, Points):
        chosen, source = combinations.positions, combinations.source
        ascending = chosen.step > 0 if isinstance(chosen, range) else all(map(operator.lt, chosen, chosen[1:]))
        if ascending and chosen and chosen[-1] - chosen[0] < _DENSE * combinations.size:
            walk = enumerate(source.between(chosen[0], chosen[-1] + 1), start=chosen[0])
            wanted = chosen if isinstance(chosen, range) else frozenset(chosen)
            return (params for place, params in walk if place in wanted)
    return combinations


def _distinct(columns: list[tuple[NDArray[Any], int]], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of small numbers, each below its column's count: where each is first found, and which each row is."""
    code, most = np.zeros(size, np.int64), 1
    for digits, count in columns:
        if most * count >= 2**63:
            code = np.unique(code, return_inverse=True)[1]
            most = size
        code, most = code * count + digits, most * count
    _, firsts, which = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(firsts)  # in order of first need
    ranks = np.empty_like(order)
    ranks[order] = np.arange(order.size)
    return firsts[order], ranks[which]


def _boxes(lengths: tuple[int, ...], low: int, high: int) -> Iterator[list[slice]]:
    """Boxes of a product's axes that together hold the positions from `low` to `high`, both included."""
    first, last = (_digits(lengths, position) for position in (low, high))
    parting = next((axis for axis in range(len(lengths)) if first[axis] != last[axis]), len(lengths))
    for axis in range(parting, len(lengths)):
        middle = last[axis] if axis == parting else lengths[axis]
        sides = [(first, first[axis] + 1, middle)] + ([(last, 0, last[axis])] if axis > parting else [])
        for digits, start, stop in sides:
            if start < stop:  # an empty box would not look empty to parts that this axis does not matter to
                yield [*_point(digits[:axis]), slice(start, stop), *[slice(None)] * (len(lengths) - axis - 1)]
    yield _point(first)
    yield _point(last)


def _point(digits: list[int]) -> list[slice]:
    return [slice(digit, digit + 1) for digit in digits]


def _digits(lengths: tuple[int, ...], position: int) -> list[int]:
    digits = []
    for length in reversed(lengths):
        position, digit = divmod(position, length)
        digits.append(digit)
    return digits[::-1]


def _require_some(size: int) -> None:
    if not size:
        raise ValueError("the grid has no combinations")


def _require_few(components: int) -> None:
    if components > _MOST_COMPONENTS:
        raise MemoryError(
            f"the grid has {components:,} distinct components, more than the {_MOST_COMPONENTS:,} that a plan holds; "
            "sweep fewer lengths, weights or regimes (lambda_, decay, cutout, robustness) at a time"
        )
