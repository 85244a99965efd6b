"""The plan of a sweep: the components that a grid's combinations share, each once, and what the sweep will cost."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from ..engine import Regime, component
from ..params import TYPES
from ..words import bytes_in_words, time_in_words
from .combinations import made
from .component_ids import LEVELS, Ids, ProductIds, RowIds, identified
from .estimates import BLOCK, Estimate, available_memory, estimated
from .grid import ParamGrid

_CACHED = 8192  # combinations whose digests a processor's cache holds


class Component(NamedTuple):
    """What one type says: a layer-1 signal and a layer-2 equity, shared by all combinations that need them."""

    average: str  # as `engine.component` names it
    lengths: tuple[int, ...]
    weight: float
    regime: int  # index in the plan's regimes


class Levels(NamedTuple):
    """What turns an average into a direction."""

    long_threshold: float
    short_threshold: float
    delayed: bool  # strategy_mode


class Blocks(Sequence[tuple[int, int]]):
    """Where blocks of 65,536 combinations begin and end, in grid order."""

    def __init__(self, size: int) -> None:
        self._firsts = range(0, size, BLOCK)
        self._size = size

    def __len__(self) -> int:
        return len(self._firsts)

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[int, int]]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, int] | list[tuple[int, int]]:
        if isinstance(index, slice):
            return [self._block(first) for first in self._firsts[index]]
        return self._block(self._firsts[index])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return map(self._block, self._firsts)

    def _block(self, first: int) -> tuple[int, int]:
        return first, min(first + BLOCK, self._size)


@dataclass(frozen=True, eq=False)
class Plan:
    """What a sweep computes once, and how combinations are made of it; never lists a product.

    Attributes:
        regimes, components, levels: what is needed, each once.
        varied: parameters that may differ between combinations.
        estimate: the cost, if columns and bars are known.
    """

    regimes: tuple[Regime, ...]
    components: tuple[Component, ...]
    levels: tuple[Levels, ...]
    varied: tuple[str, ...]
    estimate: Estimate | None
    identities: ProductIds | RowIds

    @property
    def size(self) -> int:
        """How many combinations there are."""
        return self.identities.size

    @property
    def blocks(self) -> Blocks:
        """First combination and the one after the last of every block."""
        return Blocks(self.size)

    @cached_property
    def members(self) -> int:
        """How many different averages there are: pairs of kind and length."""
        kinds = {(component.average, component.lengths) for component in self.components}
        return len({(average, length) for average, lengths in kinds for length in lengths})

    def ids(self, first: int, last: int) -> Ids:
        """What the combinations from `first` to before `last` are made of, (last - first, 7) int32.

        For each combination the indices of its six components, in the order of the types, and of its levels.
        """
        if not 0 <= first <= last <= self.size:
            raise IndexError(f"combinations {first:,} to {last:,} of a plan of {self.size:,}")
        return self.identities.ids(first, last)

    def key(self, first: int, last: int, ids: Ids | None = None) -> str:
        """Hexadecimal digits that stand for these combinations in their order, whatever grid they are from.

        `ids` are theirs, where they are known already.
        """
        from xxhash import xxh3_128

        ids = self.ids(first, last) if ids is None else ids
        components, levels = self._digests
        total = xxh3_128()
        room = np.empty((min(_CACHED, len(ids)), ids.shape[1]), np.uint64)
        for start in range(0, len(ids), _CACHED):
            some = ids[start : start + _CACHED]
            digests = room[: len(some)]
            digests[:, :LEVELS] = components.take(some[:, :LEVELS])
            digests[:, LEVELS] = levels.take(some[:, LEVELS])
            total.update(digests.data)
        return total.hexdigest()

    @cached_property
    def _digests(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """A digest of the canonical text of every component, and of every entry of the levels."""
        from xxhash import xxh3_64_intdigest

        regimes = [" ".join(map(repr, regime)) for regime in self.regimes]
        components = (f"{c.average} {c.lengths} {c.weight!r} {regimes[c.regime]}" for c in self.components)
        levels = (" ".join(map(repr, levels)) for levels in self.levels)
        of_components, of_levels = (
            np.array([xxh3_64_intdigest(text.encode()) for text in texts], np.uint64) for texts in (components, levels)
        )
        return of_components, of_levels

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def describe(self) -> str:
        """The plan in words and numbers, a line each."""
        lines = [
            ("combinations", f"{self.size:,}", ""),
            ("distinct components", f"{len(self.components):,}", ""),
            ("members", f"{self.members:,}", "different averages"),
            ("regimes", f"{len(self.regimes):,}", "of lambda_, decay and cutout"),
            ("levels", f"{len(self.levels):,}", "of thresholds and strategy_mode"),
            ("blocks", f"{len(self.blocks):,}", f"of {BLOCK:,} combinations"),
        ]
        if (cost := self.estimate) is not None:
            lines += [
                ("columns", f"{cost.columns:,}", f"of {cost.bars:,} bars"),
                ("combination-bars", f"{cost.combination_bars:,}", ""),
                ("time", time_in_words(cost.seconds), "on one core"),
            ]
            lines += [("", time_in_words(cost.seconds / cost.jobs), f"with {cost.jobs} jobs")] if cost.jobs > 1 else []
            lines += [("memory", bytes_in_words(cost.memory), "of which")]
            lines += [
                (f"  {part.replace('_', ' ')}", bytes_in_words(number), "")
                for part, number in cost.parts._asdict().items()
            ]
        width = max(len(value) for _, value, _ in lines)
        return "\n".join(f"{name:<20} {value:>{width}} {note}".rstrip() for name, value, note in lines)


def plan(
    grid: ParamGrid,
    close: object = None,
    *,
    columns: int | None = None,
    bars: int | None = None,
    metrics: int = 4,
    windows: int = 0,
    top: int | None = None,
    jobs: int = 1,
) -> Plan:
    """Split a grid into the work that its combinations share.

    Pure: the same grid gives the same plan. A grid with `where` is gone through once, its condition asked once a
    combination; so are points and unions. A product is never listed, nor is a slice of one.

    Args:
        grid: the combinations.
        close: prices, only to learn how many columns and bars there are.
        columns: how many there are, where known already.
        bars: how many the longest column has, where known already; with both known the plan has an estimate.
        metrics: how many the sweep will be asked for; this and the following count in the estimate alone.
        windows: how many ranges of bars the metrics will be asked for, besides the whole.
        top: how many combinations of each column will be kept; None for all.
        jobs: how many threads or processes the sweep will run on.

    Raises:
        TypeError: if `grid` is not a ParamGrid.
        ValueError: if it has no combinations.
        MemoryError: if it has more distinct components than a plan holds.

    >>> grid = ParamGrid(**{f"{name}_len": range(10, 50) for name in ("ema", "hma", "wma", "dema", "lsma", "kama")})
    >>> print(plan(grid[:1_000_000], columns=1, bars=1500, jobs=2).describe())
    combinations             1,000,000
    distinct components            138
    members                        202 different averages
    regimes                          1 of lambda_, decay and cutout
    levels                           1 of thresholds and strategy_mode
    blocks                          16 of 65,536 combinations
    columns                          1 of 1,500 bars
    combination-bars     1,500,000,000
    time                       0.676 s on one core
                               0.338 s with 2 jobs
    memory                    148.6 MB of which
      components                1.9 MB
      running sums              1.7 MB
      stretch tables           49.0 MB
      result rows              52.0 MB
      blocks in flight         44.0 MB
    """
    if not isinstance(grid, ParamGrid):
        wrap = ": wrap the values in ParamGrid(**values)" if isinstance(grid, Mapping) else ""
        if isinstance(grid, (list, tuple)) or hasattr(grid, "columns"):
            wrap = ": wrap the rows in ParamGrid.points(rows)"
        raise TypeError(f"a plan takes a ParamGrid; got {type(grid).__name__}{wrap}")
    counts = [("columns", columns, 0), ("bars", bars, 0), ("metrics", metrics, 0), ("windows", windows, 0)]
    for name, count, least in [*counts, ("top", top, 1), ("jobs", jobs, 1)]:
        if count is not None and operator.index(count) < least:
            raise ValueError(f"{name} must be at least {least}; got {count}")
    if close is not None:
        from ..prices import read_prices

        prices = read_prices(close)
        columns, bars = len(prices.counts), int(prices.counts.max(initial=0))
    ids, choices, varied = identified(grid.combinations)
    regimes: dict[Regime, int] = {}
    shared: dict[tuple[int, ...], tuple[int, ...]] = {}
    components = []
    for type_, chosen in zip(TYPES, choices[:LEVELS], strict=True):
        for params in map(made, chosen):
            regime = regimes.setdefault(Regime(params.lambda_, params.decay, params.cutout), len(regimes))
            average, lengths = component(params, type_)
            lengths = shared.setdefault(lengths, lengths)
            components.append(Component(average, lengths, params.weight(type_), regime))
    levels = tuple(Levels(p.long_threshold, p.short_threshold, p.strategy_mode) for p in map(made, choices[LEVELS]))
    cost = None
    if columns is not None and bars is not None:
        thresholds = len({entry.long_threshold for entry in levels}) + len({entry.short_threshold for entry in levels})
        cost = estimated(
            ids.size,
            len(components),
            thresholds,
            len(varied),
            columns=columns,
            bars=bars,
            metrics=metrics,
            windows=windows,
            top=top,
            jobs=jobs,
        )
    return Plan(tuple(regimes), tuple(components), levels, varied, cost, ids)


def check_memory(plan: Plan, available: int | None = None) -> None:
    """Raise MemoryError, with what to change, where a sweep needs more memory than there is.

    Args:
        plan: one with an estimate.
        available: bytes; by default what the machine and the control group of this process leave.
    """
    if plan.estimate is None:
        raise ValueError("the plan has no estimate; make it with close, or with columns and bars")
    plan.estimate.check_memory(available_memory() if available is None else available)
