"""Sequences of combinations that are computed when asked for: products, products with a condition, points, choices."""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from ..params import AtcParams, check_names
from .axes import DEFAULTS, Axes, described, first_misfit, listed_values

Where = Callable[[AtcParams], Any]


def made(values: Mapping[str, Any]) -> AtcParams:
    """AtcParams of values that are known to be canonical, without checking them again: several times faster."""
    params = object.__new__(AtcParams)
    params.__dict__.update(DEFAULTS)
    params.__dict__.update(values)
    return params


class Combinations(abc.ABC):
    """Combinations without duplicates, in a definite order."""

    names: tuple[str, ...]
    """The parameters that it sets; all others have their defaults."""
    exact: bool
    """Whether `size` and `at` are cheap; otherwise they go through the combinations."""

    @property
    @abc.abstractmethod
    def bound(self) -> int:
        """How many combinations there are at most; the size, where that is cheap."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[AtcParams]: ...

    @abc.abstractmethod
    def __contains__(self, params: AtcParams) -> bool: ...

    @abc.abstractmethod
    def values(self, name: str) -> tuple[Any, ...]:
        """The values of a parameter, in order."""

    @abc.abstractmethod
    def key(self) -> object:
        """What grids are compared and hashed by."""

    def __getstate__(self) -> dict[str, Any]:
        """What makes the combinations; what was only derived from it need not travel."""
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    @cached_property
    def size(self) -> int:
        """How many combinations there are."""
        return sum(1 for _ in self)

    def at(self, position: int) -> AtcParams:
        """The combination at a position from 0 to size - 1."""
        for params in self.between(position, position + 1):
            return params
        raise IndexError(position)

    def between(self, start: int, stop: int) -> Iterator[AtcParams]:
        """The combinations at positions from `start` to before `stop`."""
        return itertools.islice(self, start, stop)


class Exact(Combinations):
    """Combinations that are found by position at no cost."""

    exact = True

    @property
    def bound(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[AtcParams]:
        return self.between(0, self.size)

    def between(self, start: int, stop: int) -> Iterator[AtcParams]:
        return map(self.at, range(start, stop))

    def key(self) -> object:
        return (self.size, self.at(0), self.at(self.size - 1)) if self.size else 0


class Product(Exact):
    """Every combination of the values of some parameters; the last parameter varies fastest."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.names = tuple(axes)
        self.size = math.prod(map(len, axes.values()))

    def at(self, position: int) -> AtcParams:
        chosen = {}
        for name in reversed(self.names):
            position, index = divmod(position, len(self.axes[name]))
            chosen[name] = self.axes[name][index]
        return made(chosen)

    def __iter__(self) -> Iterator[AtcParams]:
        names = self.names
        return (made(dict(zip(names, row, strict=True))) for row in itertools.product(*self.axes.values()))

    def __contains__(self, params: AtcParams) -> bool:
        return self.position(params) is not None

    @cached_property
    def _places(self) -> dict[str, dict[Any, int]]:
        return {name: {value: place for place, value in enumerate(self.values(name))} for name in DEFAULTS}

    def position(self, params: AtcParams) -> int | None:
        """Where a combination stands; None where it is not in the product."""
        places = self._places
        if any(getattr(params, name) not in places[name] for name in DEFAULTS):
            return None
        position = 0
        for name in self.names:
            position = position * len(self.axes[name]) + places[name][getattr(params, name)]
        return position

    def values(self, name: str) -> tuple[Any, ...]:
        return self.axes.get(name, (DEFAULTS[name],))

    def content(self) -> object:
        """Equal exactly where two products hold the same combinations in the same order."""
        varied = tuple((name, values) for name, values in self.axes.items() if len(values) > 1)
        fixed = {(name, *values) for name, values in self.axes.items() if len(values) == 1}
        return varied, frozenset(fixed - set(DEFAULTS.items()))


class Kept(Combinations):
    """The combinations of a product that a condition keeps."""

    exact = False

    def __init__(self, product: Product, where: Where) -> None:
        self.product, self.where = product, where
        self.names = product.names
        self.all_fit = first_misfit(product.axes) is None

    @property
    def bound(self) -> int:
        return self.product.size

    def keeps(self, params: AtcParams) -> bool:
        """Whether the condition keeps a combination of the product; an error where that does not fit together."""
        values = {name: getattr(params, name) for name in self.names}
        try:
            kept = bool(self.where(params))
        except Exception as error:
            error.add_note(f"`where` was asked about {described(values)}")
            raise
        if kept and not self.all_fit:
            try:
                AtcParams(**values)
            except ValueError as error:
                message = f"`where` keeps a combination that does not fit together, {described(values)}: {error}"
                raise ValueError(message) from None
        return kept

    def __iter__(self) -> Iterator[AtcParams]:
        return filter(self.keeps, self.product)

    def __contains__(self, params: AtcParams) -> bool:
        return params in self.product and self.keeps(params)

    def values(self, name: str) -> tuple[Any, ...]:
        return self.product.values(name)

    def key(self) -> object:
        return self.product.content(), self.where


class Points(Exact):
    """Combinations listed one by one; a row holds the values of `names`."""

    def __init__(self, names: tuple[str, ...], rows: tuple[tuple[Any, ...], ...]) -> None:
        self.names, self.rows = names, rows
        self.size = len(rows)

    def at(self, position: int) -> AtcParams:
        return made(dict(zip(self.names, self.rows[position], strict=True)))

    @cached_property
    def _all(self) -> frozenset[AtcParams]:
        return frozenset(self)

    def __contains__(self, params: AtcParams) -> bool:
        return params in self._all

    def values(self, name: str) -> tuple[Any, ...]:
        if name not in self.names or not self.rows:
            return (DEFAULTS[name],) if self.rows else ()
        place = self.names.index(name)
        return tuple(dict.fromkeys(row[place] for row in self.rows))


class Chosen(Exact):
    """Some combinations of others, by their positions."""

    def __init__(self, source: Combinations, positions: range | tuple[int, ...]) -> None:
        self.source, self.positions = source, positions
        self.names = source.names

    @cached_property
    def size(self) -> int:
        if isinstance(self.positions, range):  # len() refuses ranges of more than 2^63
            start, stop, step = self.positions.start, self.positions.stop, self.positions.step
            return max(0, (stop - start + step - (1 if step > 0 else -1)) // step)
        return len(self.positions)

    def at(self, position: int) -> AtcParams:
        return self.source.at(self.positions[position])

    def between(self, start: int, stop: int) -> Iterator[AtcParams]:
        positions = self.positions[start:stop]
        if isinstance(positions, range) and positions.step == 1:
            return self.source.between(positions.start, positions.stop)
        return map(self.source.at, positions)

    @cached_property
    def _all(self) -> frozenset[Any]:
        return frozenset(self.positions if isinstance(self.source, Product) else self)

    def __contains__(self, params: AtcParams) -> bool:
        if not isinstance(self.source, Product):
            return params in self._all
        position = self.source.position(params)
        return position is not None and position in (self.positions if isinstance(self.positions, range) else self._all)

    def values(self, name: str) -> tuple[Any, ...]:
        possible = len(self.source.values(name)) if self.size else 0
        seen: dict[Any, None] = {}
        for params in self:
            seen.setdefault(getattr(params, name))
            if len(seen) == possible:
                break
        return tuple(seen)


def product_of(given: Mapping[str, Any], where: Where | None) -> Combinations:
    """The product of what a caller listed, checked."""
    check_names(given)
    product = Product({name: listed_values(name, values) for name, values in given.items()})
    if where is not None:
        if not callable(where):
            raise TypeError(f"where must be a function of AtcParams; got {where!r}")
        return Kept(product, where)
    if misfit := first_misfit(product.axes):
        raise ValueError(f"combination {misfit[0]:,} of the grid does not fit together, {misfit[1]}")
    return product


def points_of(given: Any) -> Points:
    """The points that a caller listed, checked; errors name the row, counted from 0."""
    if callable(getattr(given, "to_dicts", None)):  # polars
        given = given.to_dicts()
    elif callable(getattr(given, "to_dict", None)) and hasattr(given, "columns"):
        columns = list(given.columns)
        if len(set(columns)) < len(columns):
            raise ValueError(f"the columns of the points must differ; got {', '.join(map(str, columns))}")
        given = given.to_dict("records")
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(f"points takes rows, each a mapping of parameters, or a DataFrame; got {type(given).__name__}")
    rows: dict[AtcParams, int] = {}
    names: dict[str, None] = {}
    for index, row in enumerate(given):
        if isinstance(row, AtcParams):
            row = {name: value for name, value in row.as_dict().items() if value != DEFAULTS[name]}
        if not isinstance(row, Mapping):
            raise TypeError(f"row {index}: must be a mapping of parameters or AtcParams; got {row!r}")
        try:
            check_names(row)
            params = AtcParams(**row)
        except (TypeError, ValueError) as error:
            raise type(error)(f"row {index}: {error}") from None
        first = rows.setdefault(params, index)
        if first != index:
            raise ValueError(f"row {index}: repeats row {first} ({described(row)})")
        names |= dict.fromkeys(row)
    if not rows:
        raise ValueError("the points have no rows")
    return listed_points(rows, tuple(names))


def listed_points(combinations: Iterable[AtcParams], names: tuple[str, ...]) -> Points:
    """Points that hold the given combinations, which set nothing but `names`."""
    return Points(names, tuple(tuple(getattr(params, name) for name in names) for params in combinations))
