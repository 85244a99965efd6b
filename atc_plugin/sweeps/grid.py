"""ParamGrid: the combinations of parameters that a sweep goes through."""

from __future__ import annotations

import itertools
import operator
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, overload

from ..params import AtcParams, check_names
from .combinations import Chosen, Combinations, Kept, Points, Product, Where, listed_points, points_of, product_of
from .grid_files import read_combinations, write_combinations
from .unions import Union

if TYPE_CHECKING:
    from typing import Self

# A sample under `where` tries at most so many combinations, and so many more for each wanted, before it counts them.
_TRIES, _TRIES_EACH = 10_000, 20


class ParamGrid:
    """A set of combinations of `AtcParams` in a definite order; immutable, and never listed unless you list it.

    The product of the values given: names in the order given, the last varies fastest. Values may be one value, a
    list, tuple, range, numpy array, pandas Series or Index; a parameter left out has its default. A grid of four
    billion combinations answers `len`, `grid[i]`, slices, `sample` and `|` at once.

    `where` keeps the combinations for which it is true. It gets an `AtcParams` and is called when combinations are
    asked for, so that `len` and `grid[i]` go through the product (`len` once); until then `size_before_where` tells
    how many there are at most. A slice or a sample of such a grid is a grid of its own, without `where`.

    Values are checked as `AtcParams` checks them, and so is whether they fit together (a length and the robustness,
    the two thresholds). Without `where`, one combination that does not fit is an error at once. With `where`, it is
    asked about those combinations too, so that it can leave them out; one that it keeps is an error when it is reached.

    Args:
        where: a function of `AtcParams`; a grid with one can be pickled if the function can.
        values: values by parameter.

    Raises:
        TypeError: for an unknown name (the nearest is suggested) or a value of the wrong type.
        ValueError: for a value that is not allowed, is listed twice or does not fit the others, and for an empty list.

    >>> grid = ParamGrid(ema_len=range(10, 50), wma_len=[20, 40], where=lambda p: p.ema_len <= p.wma_len)
    >>> len(grid), grid[0].ema_len, grid[-1].ema_len, grid.varied
    (42, 10, 40, ('ema_len', 'wma_len'))
    >>> huge = ParamGrid(**{f"{name}_len": range(10, 50) for name in ("ema", "hma", "wma", "dema", "lsma", "kama")})
    >>> len(huge), len(huge.sample(1000, seed=0)), len(grid | huge[:10])
    (4096000000, 1000, 52)
    """

    _combinations: Combinations

    def __init__(self, *, where: Where | None = None, **values: Any) -> None:
        self.__dict__["_combinations"] = product_of(values, where)

    @classmethod
    def _of(cls, combinations: Combinations) -> Self:
        grid = cls.__new__(cls)
        grid.__dict__["_combinations"] = combinations
        return grid

    @classmethod
    def points(cls, rows: Any) -> Self:
        """A grid of combinations listed one by one, in their order.

        Args:
            rows: mappings of parameters or `AtcParams`, or a DataFrame with a column a parameter (its index is not
                looked at); names that a row leaves out have their defaults.

        Raises:
            TypeError, ValueError: as for `AtcParams`, and for a row that repeats another; the message names the row,
                counted from 0.

        >>> grid = ParamGrid.points([{"ema_len": 10, "decay": 0.01}, {"ema_len": 20}])
        >>> [params.decay for params in grid]
        [0.01, 0.03]
        """
        return cls._of(points_of(rows))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """A grid from a TOML or JSON file, told apart by suffix; errors name the file and the key.

        A TOML file for people to write (`points` and `union` are described in `sweeps/grid_files.py`)::

            [product]
            ema_len = { start = 10, stop = 50, step = 1 }
            decay = [0.01, 0.03]
            robustness = "Wide"
        """
        return cls._of(read_combinations(Path(path)))

    def to_file(self, path: str | os.PathLike[str]) -> None:
        """Write the grid as TOML or JSON, by suffix; `from_file` gives an equal grid back.

        Raises:
            ValueError: for a grid with `where`, an empty grid, and another suffix.
        """
        write_combinations(self._combinations, Path(path))

    def __iter__(self) -> Iterator[AtcParams]:
        return iter(self._combinations)

    def __len__(self) -> int:
        return self._combinations.size

    def __bool__(self) -> bool:
        return any(True for _ in self)

    def __contains__(self, params: object) -> bool:
        return isinstance(params, AtcParams) and params in self._combinations

    @property
    def size_before_where(self) -> int:
        """How many combinations there are at most, without asking `where`; the length of a grid that has none."""
        return self._combinations.bound

    @property
    def combinations(self) -> Combinations:
        """What computes the combinations; for the planner."""
        return self._combinations

    @property
    def where(self) -> Where | None:
        """The condition of a product; None where there is none, and for unions."""
        return self._combinations.where if isinstance(self._combinations, Kept) else None

    @property
    def axes(self) -> Mapping[str, tuple[Any, ...]] | None:
        """The values by name, in grid order, if the grid is a product; None for points, unions, slices and samples.

        The grid is then `itertools.product(*axes.values())`, less what `where` does not keep.
        """
        combinations = self._combinations
        product = combinations.product if isinstance(combinations, Kept) else combinations
        return MappingProxyType(product.axes) if isinstance(product, Product) else None

    @property
    def varied(self) -> tuple[str, ...]:
        """The parameters with more than one value, whatever `where` keeps of them."""
        return tuple(name for name in self._combinations.names if len(self.values(name)) > 1)

    def values(self, name: str) -> tuple[Any, ...]:
        """The values of a parameter: as listed, whatever `where` keeps of them, or in order of appearance.

        Slices and samples go through their combinations until all values have appeared.
        """
        check_names((name,))
        return self._combinations.values(name)

    @overload
    def __getitem__(self, position: int) -> AtcParams: ...
    @overload
    def __getitem__(self, position: slice) -> Self: ...
    def __getitem__(self, position: int | slice) -> AtcParams | Self:
        combinations = self._combinations
        if isinstance(position, slice):
            return self._of(_sliced(combinations, position))
        asked = operator.index(position)
        if asked < 0 or combinations.exact:
            size = combinations.size
            if not -size <= asked < size:
                raise IndexError(f"position {asked:,} of a grid of {size:,} combinations")
            return combinations.at(asked % size)
        try:
            return combinations.at(asked)
        except IndexError:
            raise IndexError(f"position {asked:,} of a grid of {combinations.size:,} combinations") from None

    def sample(self, n: int, seed: int = 0) -> Self:
        """A grid of `n` different combinations drawn at random, in grid order; the same for the same seed.

        Under `where`, combinations are drawn until enough are kept; if that takes too long, all are gone through.

        Raises:
            ValueError: if `n` is less than 1 or more than there are.
        """
        n, seed = operator.index(n), operator.index(seed)
        if n < 1:
            raise ValueError(f"a sample needs n of at least 1; got {n}")
        if n > self.size_before_where:
            raise ValueError(f"a sample of {n:,} is more than the {self.size_before_where:,} combinations of the grid")
        combinations, chance = self._combinations, random.Random(seed)
        if isinstance(combinations, Kept):
            tries = itertools.islice(_draws(combinations.bound, chance), _TRIES + _TRIES_EACH * n)
            kept = (place for place in tries if combinations.keeps(combinations.product.at(place)))
            places = sorted(itertools.islice(kept, n))
            if len(places) == n:
                return self._of(Chosen(combinations.product, tuple(places)))
        if n > combinations.size:
            raise ValueError(
                f"a sample of {n:,} is more than the {combinations.size:,} combinations that `where` keeps"
            )
        return self._of(_chosen(combinations, tuple(sorted(itertools.islice(_draws(combinations.size, chance), n)))))

    def __or__(self, other: ParamGrid) -> Self:
        """The combinations of this grid, then those of the other that this one does not have."""
        if not isinstance(other, ParamGrid):
            return NotImplemented
        return self._of(Union((self._combinations, other._combinations)))

    def __eq__(self, other: object) -> bool:
        """Whether two grids have the same combinations in the same order, however they were made.

        A grid with `where` equals only one made of the same values and the same function.
        """
        if not isinstance(other, ParamGrid):
            return NotImplemented
        return self is other or _same(self._combinations, other._combinations)

    def __hash__(self) -> int:
        return hash(self._combinations.key())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a ParamGrid does not change: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a ParamGrid does not change: cannot delete {name!r}")

    def __repr__(self) -> str:
        combinations = self._combinations
        most = "" if combinations.exact else "at most "
        if self.axes is not None:
            words = [f"{name}={_brief(values)}" for name, values in self.axes.items()]
            words += [f"where={getattr(self.where, '__qualname__', self.where)}"] if self.where else []
        else:
            words = [type(combinations).__name__.lower(), *combinations.names]
        return f"<ParamGrid of {most}{combinations.bound:,} combinations: {', '.join(words) or 'the defaults'}>"


def _brief(values: tuple[Any, ...]) -> str:
    if len(values) <= 6:
        return repr(values[0] if len(values) == 1 else list(values))
    return f"[{values[0]!r}, {values[1]!r}, ..., {values[-1]!r}] ({len(values)})"


def _same(one: Combinations, other: Combinations) -> bool:
    if isinstance(one, Product) and isinstance(other, Product):
        return one.content() == other.content()
    if isinstance(one, Union) and isinstance(other, Union) and not (one.exact or other.exact):
        return len(one.parts) == len(other.parts) and all(map(_same, one.parts, other.parts))
    if not (one.exact and other.exact):
        return type(one) is type(other) and one.key() == other.key()
    return one.size == other.size and all(map(operator.eq, one, other))


def _draws(size: int, chance: random.Random) -> Iterator[int]:
    """Different numbers below size in random order, remembering only those drawn."""
    moved: dict[int, int] = {}  # a shuffle of all numbers, of which only what is not in its place is kept
    for drawn in itertools.count():
        if drawn == size:
            return
        place = chance.randrange(drawn, size)
        yield moved.get(place, place)
        moved[place] = moved.pop(drawn, drawn)


def _chosen(combinations: Combinations, places: tuple[int, ...]) -> Combinations:
    """The combinations at some ascending places; where finding one means going through all, found in one pass."""
    if combinations.exact:
        return Chosen(combinations, places)
    wanted = frozenset(places)
    return _listed(combinations, (params for place, params in enumerate(combinations) if place in wanted))


def _listed(combinations: Combinations, found: Iterator[AtcParams]) -> Points:
    return listed_points(found, combinations.names)


def _sliced(combinations: Combinations, part: slice) -> Combinations:
    if combinations.exact:
        if isinstance(combinations, Chosen):
            return Chosen(combinations.source, combinations.positions[part])
        return Chosen(combinations, range(*part.indices(combinations.size)))
    bounds = [None if bound is None else operator.index(bound) for bound in (part.start, part.stop, part.step)]
    if all(bound is None or bound >= 0 for bound in bounds) and bounds[2] != 0:
        return _listed(combinations, itertools.islice(combinations, *bounds))
    # Counted from the end: the size has to be known, and a negative step turns the order round.
    places = range(*part.indices(combinations.size))
    forward = places if places.step > 0 else places[::-1]
    found = list(_chosen(combinations, tuple(forward)))
    return _listed(combinations, iter(found if places.step > 0 else found[::-1]))
