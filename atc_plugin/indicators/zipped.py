"""What ATC says of combinations that are listed parameter by parameter, in one go: shared components are made once.

List k of a parameter belongs to combination k, as vectorbt zips them; a combination may come more than once. Arrays are
(bars, combinations * columns), column c of combination k at k * columns + c.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import float64, int8, int32, int64
from numpy.typing import NDArray

from .. import engine
from ..cache.settings import default_store
from ..kept_components import components_for
from ..kept_results import KeptResults
from ..law.turns import Components, series_of
from ..law.voting import is_tame
from ..names import suggestion
from ..params import LENGTH_NAMES, ROWS, TYPES, AtcParams
from ..prices import Prices, fingerprint, read_prices
from ..sweeps.combinations import Points
from ..sweeps.components import as_components
from ..sweeps.estimates import available_memory
from ..sweeps.grid import ParamGrid
from ..sweeps.judge import level_table
from ..sweeps.planning import Plan, plan
from ..threads import share
from ..words import bytes_in_words

SIGNALS = tuple(f"{type_.lower()}_signal" for type_ in TYPES)
WEIGHTS = tuple(f"{type_.lower()}_weight" for type_ in TYPES)
LIGHT = ("average", "direction", "entries", "exits")
OUTPUTS = (*LIGHT, *SIGNALS, *WEIGHTS)
GROUPS = {"all": OUTPUTS, "light": LIGHT, "signals": SIGNALS, "weights": WEIGHTS}

# What AtcParams checks together: looking at the values that occur together is looking at every combination.
_TOGETHER = [
    *((name, "robustness", "hma_mode") for name in LENGTH_NAMES.values()),
    ("long_threshold", "short_threshold"),
]

_GRAIN = 1_000_000  # combination-bars that a thread takes at a time
_MUCH = 2**27  # bytes from which on we look whether they are there


def wanted_outputs(asked: str | Sequence[str]) -> tuple[str, ...]:
    """The outputs that a caller asks for by name or group, in our order.

    >>> wanted_outputs(["direction", "average"]), len(wanted_outputs("all"))
    (('average', 'direction'), 16)
    """
    found: set[str] = set()
    for name in (asked,) if isinstance(asked, str) else asked:
        if name not in GROUPS and name not in OUTPUTS:
            known = [*OUTPUTS, *GROUPS]
            raise ValueError(f"outputs has no {name!r}; there are {', '.join(known)}{suggestion(name, known)}")
        found.update(GROUPS.get(name, (name,)))
    return tuple(name for name in OUTPUTS if name in found)


class Zipped(NamedTuple):
    """Combinations as they were listed, and the plan of those that differ."""

    names: tuple[str, ...]  # the parameters that are not all at their defaults
    rows: tuple[tuple[Any, ...], ...]  # their values in each combination that differs
    plan: Plan
    ids: NDArray[int32]  # (combinations, 7): what each one listed is made of
    places: NDArray[int64]  # which of the rows each one listed is

    def params(self, combination: int) -> AtcParams:
        """The parameters of one that was listed."""
        return AtcParams(**dict(zip(self.names, self.rows[self.places[combination]], strict=True)))


def zip_lists(lists: Mapping[str, Sequence[Any]]) -> Zipped:
    """Check equally long lists of values, and plan what their combinations share; some microseconds a combination."""
    columns: dict[str, list[Any]] = {}
    for name, values in lists.items():
        canonical = _checked(name, values)
        if len(canonical) > 1 or next(iter(canonical.values())) != ROWS[name].default:
            columns[name] = [canonical[value] for value in values]
    count = len(next(iter(lists.values())))
    for together in _TOGETHER:
        involved = [name for name in together if name in columns]
        for values in set(zip(*(columns[name] for name in involved), strict=True)):
            AtcParams(**dict(zip(involved, values, strict=True)))
    seen: dict[tuple[Any, ...], int] = {}
    listed = zip(*columns.values(), strict=True) if columns else [()] * count
    places = np.array([seen.setdefault(row, len(seen)) for row in listed], int64)
    names, rows = tuple(columns), tuple(seen)
    # The values are checked and differ: points of a grid as `ParamGrid.points` makes them, without its cost a row.
    planned = plan(ParamGrid._of(Points(names, rows)))
    return Zipped(names, rows, planned, planned.ids(0, planned.size)[places], places)


def _checked(name: str, values: Sequence[Any]) -> dict[Any, Any]:
    """The plain Python value that each distinct value stands for."""
    try:
        return {value: ROWS[name].check(value) for value in dict.fromkeys(values)}
    except TypeError:
        for value in values:  # what cannot be hashed is no value: the check of the first such says so
            ROWS[name].check(value)
        raise


# ---------------------------------------------------------------- components, perhaps kept
class ComponentCache:
    """Components of columns of prices, kept for further calls: what `return_cache=True` gives and `use_cache` takes.

    They are found by the prices and by what they are made with, so a cache is right for any prices and combinations;
    what it does not hold is computed and added.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], dict[Any, tuple[NDArray[int8], NDArray[float64]]]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def __repr__(self) -> str:
        return f"<ComponentCache of {len(self)} components of {len(self._kept)} columns>"

    def components(self, planned: Plan, close: NDArray[float64], source: NDArray[float64]) -> Components:
        """The components of a plan, as `components_for` finds or makes them."""
        kept = self._kept.setdefault((fingerprint(close), fingerprint(source)), {})
        keys = [(one.average, one.lengths, one.weight, planned.regimes[one.regime]) for one in planned.components]
        missing = [place for place, key in enumerate(keys) if key not in kept]
        if missing:
            few = dataclasses.replace(planned, components=tuple(planned.components[place] for place in missing))
            made = components_for(default_store(), few, close, source)
            for row, place in enumerate(missing):
                kept[keys[place]] = (made.signals[row], made.weights[row])
        signals, weights = zip(*(kept[key] for key in keys), strict=True)
        return as_components(planned, np.stack(signals), np.stack(weights))


def fill_cache(close: Any, source: Any, zipped: Zipped, cache: ComponentCache) -> ComponentCache:
    """Make what these combinations need of these prices."""
    prices = read_prices(close, source)
    for column, count in enumerate(prices.counts):
        cache.components(zipped.plan, prices.close[column, :count], prices.source[column, :count])
    return cache


# ---------------------------------------------------------------- outputs
def outputs_of(
    close: Any, source: Any, zipped: Zipped, wanted: Sequence[str], cache: ComponentCache | None = None
) -> dict[str, NDArray[Any]]:
    """The outputs asked for, each (bars, combinations * columns), float64 or bool, the bits of `atc` one by one.

    Args:
        close: prices (bars, columns) as `atc` takes them.
        source: what the averages are taken of, or None.
        zipped: the combinations.
        wanted: names of outputs.
        cache: components of earlier calls.
    """
    prices = read_prices(close, source)
    if len(zipped.rows) == 1 and cache is None and {*wanted} <= {*LIGHT}:
        return _of_one(prices, zipped, wanted)
    columns, bars = prices.close.shape
    count = len(zipped.ids)
    kinds = {name: np.dtype(np.bool_ if name in ("entries", "exits") else float64) for name in wanted}
    _check_memory(count * columns * bars * sum(kind.itemsize for kind in kinds.values()), count, columns, bars)
    made = {name: np.empty((count, columns * bars), kind) for name, kind in kinds.items()}
    jobs = engine.job_count()
    grain = max(1, _GRAIN // max(bars, 1))

    def one_column(c: int, jobs: int) -> None:
        share(_Column(prices, c, zipped, made, cache).fill, count, jobs, grain)

    if columns >= jobs and count <= grain:
        share(lambda c, _: one_column(c, 1), columns, jobs, 1)
    else:
        for c in range(columns):
            one_column(c, jobs)
    return {name: values.reshape(count * columns, bars).T for name, values in made.items()}


def _of_one(prices: Prices, zipped: Zipped, wanted: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Outputs of a single combination, perhaps listed several times: as `atc` computes them, which shares less."""
    verdict = KeptResults(prices, zipped.params(0), True).verdict()
    packed = {
        "average": (verdict.average, np.nan),
        "direction": (verdict.direction.astype(float64), np.nan),
        "entries": (_turns(verdict.direction, 1), False),
        "exits": (_turns(verdict.direction, -1), False),
    }
    return {name: np.tile(prices.unpack(*packed[name]), (len(zipped.ids), 1)).T for name in wanted}


def _turns(directions: NDArray[Any], to: int) -> NDArray[np.bool_]:
    """Where directions, (rows, bars), turned this way."""
    there: NDArray[np.bool_] = directions == to
    turned = there.copy()
    turned[:, 1:] &= ~there[:, :-1]
    return turned


def _check_memory(needed: int, combinations: int, columns: int, bars: int) -> None:
    if needed < _MUCH:
        return
    available = available_memory()
    if available is not None and needed > available:
        raise MemoryError(
            f"the outputs of {combinations:,} combinations x {columns:,} columns x {bars:,} bars take "
            f"{bytes_in_words(needed)}, and {bytes_in_words(available)} are free: ask for fewer "
            "(outputs='average'), or let atc_plugin.sweep judge them, which keeps no series"
        )


class _Column:
    """One column of prices, and where its bars are in the rows (combinations, columns * bars) of the outputs."""

    def __init__(
        self, prices: Prices, column: int, zipped: Zipped, made: dict[str, NDArray[Any]], cache: ComponentCache | None
    ) -> None:
        bars, count = prices.close.shape[1], int(prices.counts[column])
        close, source = prices.close[column, :count], prices.source[column, :count]
        first = column * bars
        self.zipped, self.made, self.count = zipped, made, count
        self.bars_at = np.arange(first, first + count)
        self.at: slice | NDArray[int64] = slice(first, first + count)
        self.gaps: NDArray[int64] = np.empty(0, int64)
        if prices.valid is not None and count < bars:
            self.bars_at = self.at = first + np.flatnonzero(prices.valid[column])
            self.gaps = first + np.flatnonzero(~prices.valid[column])
        self.levels = level_table(zipped.plan)
        if cache is None:
            self.components = components_for(default_store(), zipped.plan, close, source)
        else:
            self.components = cache.components(zipped.plan, close, source)
        self.alone = prices.pick(column)
        self.layers = bool({*SIGNALS, *WEIGHTS} & {*made})
        heaviest = max(component.weight for component in zipped.plan.components)
        self.tame = self.layers and is_tame(close, [regime.lambda_ for regime in zipped.plan.regimes], heaviest)

    def fill(self, first: int, last: int) -> None:
        """The outputs of the combinations from `first` to before `last`."""
        ids = self.zipped.ids[first:last]
        made = {name: values[first:last] for name, values in self.made.items()}
        if "average" in made:
            self._series(ids, False, made["average"], self.bars_at)
        if {"direction", "entries", "exits"} & {*made}:
            if "direction" in made:
                self._series(ids, True, made["direction"], self.bars_at)
                directions = made["direction"][:, self.at]
            else:
                directions = np.empty((last - first, self.count))
                self._series(ids, True, directions, np.arange(self.count))
            for name, to in (("entries", 1), ("exits", -1)):
                if name in made:
                    made[name][:, self.at] = _turns(directions, to)
        if self.layers and self.tame:
            self._shared_layers(ids, made)
        elif self.layers:
            self._own_layers(first, made)
        if self.gaps.size:
            for values in made.values():
                values[:, self.gaps] = False if values.dtype == np.bool_ else np.nan

    def _series(self, ids: NDArray[int32], directions: bool, out: NDArray[float64], bars_at: NDArray[int64]) -> None:
        series_of(self.components, self.levels, ids, bars_at, directions, 0, len(ids), out)  # type: ignore[no-untyped-call]

    def _shared_layers(self, ids: NDArray[int32], made: dict[str, NDArray[Any]]) -> None:
        """Signals and weights of components; their equities are finite, so a weight is NaN before the start alone."""
        late = self.levels.delayed[ids[:, len(TYPES)]]
        for place, (signal, weight) in enumerate(zip(SIGNALS, WEIGHTS, strict=True)):
            if signal not in made and weight not in made:
                continue
            weights = self.components.weights[ids[:, place]]
            if weight in made:
                made[weight][:, self.at] = weights
            if signal in made:
                signals = self.components.signals[ids[:, place]].astype(float64) / 100.0
                signals[np.isnan(weights)] = np.nan
                signals[late, 1:] = signals[late, :-1]
                signals[late, :1] = np.nan
                made[signal][:, self.at] = signals

    def _own_layers(self, first: int, made: dict[str, NDArray[Any]]) -> None:
        """Signals and weights one combination at a time: int8 hundredths cannot say what overflow leads to."""
        for row in range(len(next(iter(made.values())))):
            layers = engine.layers(self.alone, self.zipped.params(first + row))
            for place, (signal, weight) in enumerate(zip(SIGNALS, WEIGHTS, strict=True)):
                if signal in made:
                    made[signal][row, self.at] = layers.signals[0, place, : self.count]
                if weight in made:
                    made[weight][row, self.at] = layers.weights[0, place, : self.count]
